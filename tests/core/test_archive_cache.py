"""An archive's cache saves work, and changes nothing else."""

import base64
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightning_native import create_archive
from lightning_native.errors import ArchiveError


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    return root


def test_a_writer_that_is_killed_leaves_a_cache_that_still_works(tree, tmp_path):
    for number in range(20):
        (tree / f"{number}.bin").write_bytes(os.urandom(300_000))
    cache = tmp_path / "cache"
    script = (
        "import sys; from pathlib import Path; from lightning_native import create_archive\n"
        "root, cache, out = sys.argv[1:]\n"
        "for number in range(1_000_000):\n"
        "    Path(root, '0.bin').write_bytes(b'%d' % number)\n"
        "    create_archive(root, out, cache=cache); print(number, flush=True)\n"
    )
    for killed in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, tree, cache, tmp_path / "a"], stdout=subprocess.PIPE, text=True
        )
        with writer:
            for _ in range(killed + 2):
                writer.stdout.readline()
            writer.kill()
        create_archive(tree, tmp_path / "b", cache=cache)
        create_archive(tree, tmp_path / "c")
        assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_what_killed_writers_left_in_the_cache_is_removed(tree, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    left, in_use = cache / ".parts-Ab3xYz", cache / ".parts-cD4efG"
    left.write_bytes(b"x")
    in_use.write_bytes(b"x")
    os.utime(left, (0, 0))
    others = [cache / name for name in (".parts-list.txt", "body.parts", "a.facts")]
    for path in others:
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    create_archive(tree, tmp_path / "a", cache=cache)
    assert not left.exists()
    assert in_use.exists()
    assert all(path.exists() for path in others)


def test_a_cache_that_is_no_folder_is_a_clear_error(tree, tmp_path):
    (tmp_path / "file").touch()
    for cache in (tmp_path / "file", tmp_path / "file/in", Path("/dev/null")):
        with pytest.raises(ArchiveError, match=f"cannot open the cache folder {cache}: .*[Nn]ot a directory"):
            create_archive(tree, tmp_path / "a", cache=cache)
    assert not (tmp_path / "a").exists()


def test_files_of_others_in_a_cache_folder_are_not_removed_however_large(tree, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    with (cache / "body.parts").open("wb") as file:
        file.truncate(3 << 30)
    (tree / "a").write_text("a")
    create_archive(tree, tmp_path / "a", cache=cache)
    assert (cache / "body.parts").exists()


def test_a_cache_does_not_grow_with_the_number_of_runs(tree, tmp_path):
    cache = tmp_path / "cache"
    text = base64.b64encode(os.urandom(2_000_000))
    for run in range(30):
        text = text.replace(text[run * 80_000 : run * 80_000 + 8], b"run %4d" % run)
        (tree / "text").write_bytes(text)
        create_archive(tree, tmp_path / "a", cache=cache)
    create_archive(tree, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(list(cache.iterdir())) <= 9
    assert sum(path.stat().st_size for path in cache.iterdir()) < 3 * (tmp_path / "a").stat().st_size


def test_a_second_run_takes_unchanged_blocks_from_the_cache_and_gives_the_same_bytes(tree, tmp_path):
    for number in range(300):
        (tree / f"file-{number}.py").write_text(f"{number} = {'x' * 3000}")
    (tree / "large.bin").write_bytes(bytes(range(256)) * 20_000)
    cache = tmp_path / "cache"
    assert create_archive(tree, tmp_path / "a", cache=cache).cached_bytes == 0
    (tree / "file-7.py").write_text("changed")
    (tree / "large.bin").touch()  # another time, the same content
    warm = create_archive(tree, tmp_path / "a", cache=cache)
    cold = create_archive(tree, tmp_path / "b", cache=tmp_path / "other")
    without = create_archive(tree, tmp_path / "c")
    assert warm.digest == cold.digest == without.digest
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
    assert warm.cached_bytes > 5_000_000


def test_a_change_that_keeps_size_and_modification_time_is_seen(tree, tmp_path):
    (tree / "a").write_text("a")
    first = create_archive(tree, tmp_path / "a.tar.gz", cache=tmp_path / "cache")
    before = (tree / "a").stat()
    (tree / "a").write_text("b")
    os.utime(tree / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert create_archive(tree, tmp_path / "a.tar.gz", cache=tmp_path / "cache").digest != first.digest


def test_a_file_that_was_just_written_is_read_again_whatever_its_times_say(tree, tmp_path):
    digests = set()
    for number in range(50):
        (tree / "a").write_text(f"{number:03}")
        digests.add(create_archive(tree, tmp_path / "a.tar.gz", cache=tmp_path / "cache").digest)
    assert len(digests) == 50


@pytest.fixture(scope="module")
def settled_tree(tmp_path_factory):
    """A tree whose files are old enough for their times to be trusted."""
    tree = tmp_path_factory.mktemp("settled")
    for number in range(100):
        (tree / f"file-{number}.py").write_text(f"{number} = {'x' * 30_000}")
    time.sleep(2.1)
    return tree


def test_files_that_have_not_changed_are_not_read_again(settled_tree, tmp_path):
    def bytes_read():
        return int(Path("/proc/self/io").read_text().split()[1])

    cache = tmp_path / "cache"
    first = create_archive(settled_tree, tmp_path / "a", cache=cache)
    before = bytes_read()
    second = create_archive(settled_tree, tmp_path / "b", cache=cache)
    assert bytes_read() - before < first.bytes_in / 5
    assert second.digest == first.digest
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kind", ["parts", "facts"])
@pytest.mark.parametrize("place", [0, 20, 60, 100, 200, -5, -20, -40])
def test_a_damaged_cache_is_not_used(settled_tree, tmp_path, place, kind):
    create_archive(settled_tree, tmp_path / "a", cache=tmp_path / "cache")
    [file] = (tmp_path / "cache").glob(f"*.{kind}")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    create_archive(settled_tree, tmp_path / "b", cache=tmp_path / "cache")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_several_writers_may_share_a_cache(tree, tmp_path):
    for number in range(50):
        (tree / f"f{number}").write_text(f"f{number}")
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(create_archive, tree, tmp_path / f"{number}.tar.gz", cache=tmp_path / "cache")
            for number in range(16)
        ]
    assert len({job.result().digest for job in jobs}) == 1
    assert len({path.read_bytes() for path in tmp_path.glob("*.tar.gz")}) == 1
