import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native import create_archive, extract_archive

parts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30).filter(
    lambda name: name not in {".", ".."} and len(name.encode()) < 200
)
contents = st.binary(max_size=2000) | st.integers(0, 1_500_000).map(lambda size: b"abc" * (size // 3))
entries = st.tuples(
    st.lists(parts, min_size=1, max_size=4),
    st.one_of(st.tuples(contents, st.booleans()), st.just("folder"), st.builds("link:{}".format, parts)),
)


def build(root, tree):
    """Create the tree without the entries that cannot exist beside the others on every file system."""
    taken = set()
    for path, what in tree:
        prefixes = ["/".join(path[: length + 1]).lower() for length in range(len(path))]
        if prefixes[-1] in taken or any((root / "/".join(path[:n])).is_file() for n in range(1, len(path))):
            continue
        target = root.joinpath(*path)
        # An entry below a link would be outside of the tree, or nowhere.
        if any(root.joinpath(*path[:length]).is_symlink() for length in range(1, len(path))):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            continue
        if os.path.lexists(target):
            continue
        taken.update(prefixes)
        if what == "folder":
            target.mkdir()
        elif isinstance(what, str):
            target.symlink_to(what.removeprefix("link:"))
        else:
            target.write_bytes(what[0])
            target.chmod(0o700 if what[1] else 0o600)


def snapshot(root):
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"link:{path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = (path.read_bytes(), os.access(path, os.X_OK))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(entries, max_size=8), st.integers(0, 9), st.integers(1, 3))
def test_an_archive_extracts_to_the_same_tree_with_any_tool_and_has_the_same_bytes(tree, level, threads):
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        root = base / "root"
        root.mkdir()
        build(root, tree)
        report = create_archive(
            root, base / "a", include=["*"], exclude=[], ignore_files=False, level=level, threads=threads
        )
        copy = base / "copy"
        shutil.copytree(root, copy, symlinks=True)
        again = create_archive(copy, base / "b", include=["*"], ignore_files=False, level=level)
        assert (base / "a").read_bytes() == (base / "b").read_bytes()
        assert report.digest == again.digest
        expected = snapshot(root)
        with tarfile.open(base / "a") as archive:
            archive.extractall(base / "theirs", filter="data")
        if len({name.lower() for name in expected}) == len(expected):
            extract_archive(base / "a", base / "ours")
            assert snapshot(base / "ours") == expected
        assert snapshot(base / "theirs") == expected
