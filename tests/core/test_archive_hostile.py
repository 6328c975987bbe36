"""Trees that change while they are archived, or whose files are of other types than their names suggest."""

import os
import signal
import subprocess
import sys
import tarfile

import pytest

from lightning_native import create_archive, select_files
from lightning_native.cli import main
from lightning_native.errors import ArchiveError

# A time limit for calls that would hang for ever; a call that ends takes a small part of it.
_DEADLINE = 120


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    return root


def git(root, *arguments):
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def select_elsewhere(tree):
    """Select in a process of its own, which can be ended if it hangs."""
    script = (
        "import sys; from lightning_native import select_files; selection = select_files(sys.argv[1])\n"
        "print(*selection.files, *(f'{path}: {reason}' for path, reason in selection.excluded), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tree)], capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["x.pem", "x.key", ".gitignore", ".ignore", ".lightningignore", "sub/.gitignore"])
def test_a_pipe_by_a_name_that_is_read_is_left_out_and_waited_for_by_nobody(tree, name):
    (tree / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tree / name)
    assert select_elsewhere(tree) == ["a.py", f"{name}: a named pipe: it has no content to archive"]


@pytest.mark.parametrize("checkout", [".", "nested"])
@pytest.mark.parametrize("name", [".git", ".git/info/exclude", ".gitignore"])
def test_a_pipe_in_the_place_of_a_file_of_git_is_waited_for_by_nobody(tree, checkout, name):
    root = tree / checkout
    root.mkdir(exist_ok=True)
    if name != ".git":
        git(root, "init", "-q")
    (root / "b.py").touch()
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    assert "a.py" in select_elsewhere(tree)


@pytest.mark.parametrize("name", ["index", "config", "commondir", "HEAD"])
def test_a_pipe_in_the_place_of_what_git_needs_is_a_clear_error(tree, name):
    git(tree, "init", "-q")
    (tree / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(tree / ".git" / name)
    with pytest.raises(AssertionError, match=rf"ArchiveError: cannot read .*\.git/{name}.*: it is no (regular )?file"):
        select_elsewhere(tree)


def test_ctrl_c_ends_waiting_for_git_which_waits_for_a_pipe(tree):
    git(tree, "init", "-q")
    git(tree, "config", "include.path", "more")
    os.mkfifo(tree / ".git/more")
    script = "import sys; from lightning_native import select_files; select_files(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", script, str(tree)], stderr=subprocess.PIPE)
    with process, (tree / ".git/more").open("w"):  # the open returns once git opens the pipe
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=_DEADLINE)
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in errors


@pytest.mark.parametrize("what", ["file", "folder", "large file"])
def test_what_becomes_a_link_after_it_was_selected_is_not_read_from_outside(tree, tmp_path, what):
    size = 6_000_000 if what == "large file" else 3000
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.txt").write_bytes(b"classified!\n" * (size // 12))
    (tree / "sub").mkdir()
    (tree / "sub/data.txt").write_bytes(b"harmless.  \n" * (size // 12))
    swapped = tree / "sub" if what == "folder" else tree / "sub/data.txt"

    def swap(_done, _total):
        if not swapped.is_symlink():
            swapped.rename(tmp_path / "away")
            swapped.symlink_to(outside if what == "folder" else outside / "data.txt")

    try:
        create_archive(tree, tmp_path / "a.tar.gz", progress=swap)
    except ArchiveError as error:
        assert "became a link while" in str(error)  # noqa: PT017 - a slow walk finds the link itself, which is right
        assert not (tmp_path / "a.tar.gz").exists()
    else:
        with tarfile.open(tmp_path / "a.tar.gz") as archive:
            assert not any(member.isfile() and "data" in member.name for member in archive)


@pytest.mark.parametrize("is_checkout", [False, True])
@pytest.mark.parametrize("name", [".gitignore", ".lightningignore"])
def test_a_linked_ignore_file_counts_if_it_is_in_the_tree(tree, is_checkout, name):
    if is_checkout:
        git(tree, "init", "-q")
    (tree / "rules").write_text("*.log\n")
    (tree / "b.log").touch()
    (tree / name).symlink_to("rules")
    # Git does not follow a link with the name .gitignore.
    is_left_out = not (is_checkout and name == ".gitignore")
    assert ("b.log" not in select_files(tree).files) == is_left_out
    if is_checkout and name == ".gitignore":
        listed = subprocess.run(
            ["git", "ls-files", "--others", "--exclude-standard"], cwd=tree, check=True, capture_output=True, text=True
        ).stdout
        assert sorted(listed.splitlines()) == select_files(tree).files


def test_an_ignore_file_that_leads_out_of_the_tree_is_a_clear_error(tree, tmp_path):
    (tmp_path / "rules").write_text("*.log\n")
    (tree / ".lightningignore").symlink_to(tmp_path / "rules")
    with pytest.raises(ArchiveError, match=r"\.lightningignore: it is a link that leads out of the tree; put a copy"):
        select_files(tree)
    (tree / ".lightningignore").unlink()
    (tree / ".lightningignore").symlink_to("gone")
    assert select_files(tree).files == [".lightningignore", "a.py"]


def test_an_ignore_file_without_end_is_a_clear_error(tree):
    with (tree / ".gitignore").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ArchiveError, match=r"cannot read the ignore file .*\.gitignore: it has more than 16 MiB"):
        select_files(tree)


@pytest.mark.parametrize("length", [0, 3, 11, 12, 40, 100])
def test_a_damaged_index_of_git_is_a_clear_error(tree, length):
    git(tree, "init", "-q")
    git(tree, "add", ".")
    index = (tree / ".git/index").read_bytes()
    damaged = bytearray(index[:length])
    if length >= 12:
        damaged[8:12] = b"\xff\xff\xff\xff"  # the number of entries
    (tree / ".git/index").write_bytes(damaged)
    with pytest.raises(ArchiveError, match="cannot read git's index"):
        select_files(tree)


def test_a_split_index_of_git_is_read(tree):
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "kept.log").touch()
    git(tree, "add", "-f", ".")
    git(tree, "update-index", "--split-index")
    (tree / "more.log").touch()
    git(tree, "add", "-f", "more.log")
    assert select_files(tree).files == [".gitignore", "a.py", "kept.log", "more.log"]


def test_a_cache_with_pipes_and_files_without_end_is_not_waited_for(tree, tmp_path):
    cache = tmp_path / "cache"
    create_archive(tree, tmp_path / "a", cache=cache)
    for path in list(cache.iterdir()):
        path.unlink()
        os.mkfifo(path)
    with (cache / next(cache.glob("*.parts")).name.replace(".parts", "x.parts")).open("wb") as file:
        file.truncate(1 << 40)
    script = (
        "import sys; from lightning_native import create_archive; create_archive(*sys.argv[1:3], cache=sys.argv[3])"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tree), str(tmp_path / "b"), str(cache)], check=True, timeout=_DEADLINE
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_rule_with_control_characters_is_shown_without_them(tree, capsys):
    (tree / ".gitignore").write_text("*.log\x1b7*\n")
    (tree / "x.log\x1b7").touch()
    assert main(["archive", str(tree), "--list"]) == 0
    assert main(["archive", str(tree), "--explain", "x.log\x1b7"]) == 0
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert r".gitignore:1: *.log\x1b7*" in printed.out
