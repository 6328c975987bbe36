"""Selection against `git ls-files` on generated checkouts."""

import os
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native import select_files

parts = st.sampled_from(
    ["a", "b", "c.log", "d.py", "build", "sp ace", "é", "x[1]", "q'\"", "new\nline", "#h", "!n", "t "]
)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
patterns = st.sampled_from(
    [
        "*.log",
        "build/",
        "/build",
        "a",
        "!a",
        "a/*",
        "!a/b",
        "**/b",
        "b/**",
        "a/**/d.py",
        "!*.log",
        "d.*",
        "[ab]",
        "x\\[1\\]",
        "!build/",
        "# comment",
        "\\#h",
        "\\!n",
        "t\\ ",
        "t ",
        "sp ace",
        "*",
        "!*/",
        "/a/b",
        "é",
        "?",
        "a//b",
        "/",
        "!",
        "**",
    ]
)
ignore_files = st.dictionaries(
    st.sampled_from(["", "a/", "build/", "a/b/"]), st.lists(patterns, min_size=1, max_size=4), max_size=3
)


def git(root, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "XDG_CONFIG_HOME": str(root.parent / "config")}
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, env=environment)
    return {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}


@settings(max_examples=60, deadline=None)
@given(st.lists(paths, max_size=10), st.lists(paths, max_size=4), ignore_files, st.lists(patterns, max_size=2))
def test_the_files_of_a_checkout_are_those_that_git_lists(untracked, tracked, ignores, own_excludes):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        git(root, "init", "-q")
        made = []
        for path in [*tracked, *untracked]:
            try:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("x")
            except OSError:  # a file where a folder should be, or the other way round
                continue
            if path in tracked:
                made.append(path)
        if made:
            git(root, "--literal-pathspecs", "add", "-f", "--", *made)
        for where, lines in ignores.items():
            if (root / where).is_dir():
                (root / where / ".gitignore").write_text("\n".join(lines) + "\n")
        (root / ".git/info/exclude").write_text("\n".join(own_excludes) + "\n")
        expected = git(root, "ls-files", "-z", "--cached") | git(
            root, "ls-files", "-z", "--others", "--exclude-standard"
        )
        assert set(select_files(root).files) == expected
