"""Destinations that are no regular files, and the leftovers of a killed process in a tree."""

import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from lightning_native import create_archive, extract_archive, select_files
from lightning_native.cli import main
from lightning_native.errors import ArchiveError


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    return root


def members(archive):
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_a_named_pipe_gets_the_archive_and_stays_a_pipe(tree, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    report = create_archive(tree, pipe)
    reader.join()
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert len(received[0]) == report.bytes_out
    create_archive(tree, tmp_path / "a.tar.gz")
    assert received[0] == (tmp_path / "a.tar.gz").read_bytes()


def test_an_archive_larger_than_a_pipe_holds_arrives_whole(tree, tmp_path):
    (tree / "random").write_bytes(os.urandom(3_000_000))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    assert create_archive(tree, pipe).bytes_out == (reader.join() or len(received[0]))


def test_waiting_for_the_reader_of_a_pipe_can_be_stopped(tree, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    calls = []

    def stop_at_the_end(done, total):
        calls.append((done, total))
        if len(calls) > 5:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        create_archive(tree, tmp_path / "pipe", progress=stop_at_the_end)


def test_a_device_is_written_to_and_not_replaced(tree, tmp_path):
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        device.symlink_to("/dev/null")  # an ordinary user could not replace /dev/null
    create_archive(tree, device)
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_link_is_followed_to_the_file_that_it_leads_to(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/old.tar.gz").write_bytes(b"old")
    (tmp_path / "link").symlink_to("elsewhere/old.tar.gz")
    (tmp_path / "dangling").symlink_to("elsewhere/new.tar.gz")
    for name, target in (("link", "old.tar.gz"), ("dangling", "new.tar.gz")):
        create_archive(tree, tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert members(tmp_path / "elsewhere" / target) == ["a.py"]
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["new.tar.gz", "old.tar.gz"]


def test_neither_a_link_to_the_archive_nor_what_it_leads_to_goes_in(tree):
    (tree / "sub").mkdir()
    (tree / "sub/b.py").touch()
    (tree / "link.tar.gz").symlink_to("sub/real.tar.gz")
    for _ in range(2):
        assert create_archive(tree, tree / "link.tar.gz").files == 2
        assert members(tree / "sub/real.tar.gz") == ["a.py", "sub/b.py"]


def test_destinations_that_cannot_be_written_are_clear_errors(tree, tmp_path, capsys):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for destination, problem in {
        "folder": "it is a folder; name a file in it",
        "gone/a.tar.gz": "there is no folder .*gone; create it first",
        "file/a.tar.gz": "there is no folder .*file; create it first",
        "loop": "leads in a circle",
        "folder/..": "names no file",
    }.items():
        with pytest.raises(ArchiveError, match=f"cannot write {tmp_path / destination}: .*({problem})"):
            create_archive(tree, tmp_path / destination)
    with pytest.raises(ArchiveError, match=r"no file can be made in the folder /proc/self: [^/]*$"):
        create_archive(tree, "/proc/self/a.tar.gz")
    assert main(["archive", str(tree), "-o", str(tmp_path / "folder")]) == 1
    assert "it is a folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "loop", "tree"]


def test_a_name_may_be_as_long_as_the_file_system_lets_it_be(tree, tmp_path):
    create_archive(tree, tmp_path / ("n" * 255))
    create_archive(tree, tmp_path / ("n" * 255))
    assert members(tmp_path / ("n" * 255)) == ["a.py"]


def test_an_archive_gets_the_mode_that_new_files_have(tree, tmp_path):
    before = os.umask(0o027)
    try:
        create_archive(tree, tmp_path / "a.tar.gz")
        create_archive(tree, tmp_path / "a.tar.gz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.tar.gz").stat().st_mode) == 0o640


@pytest.mark.parametrize("through", ["pipe", "file"])
def test_on_stdout_there_is_the_archive_and_nothing_else(tree, tmp_path, through):
    # `/dev/stdout` is a link to this path.
    command = [sys.executable, "-m", "lightning_native", "archive", str(tree), "-o", "/proc/self/fd/1"]
    if through == "pipe":
        done = subprocess.run(command, check=True, capture_output=True)
        (tmp_path / "a.tar.gz").write_bytes(done.stdout)
    else:
        with (tmp_path / "a.tar.gz").open("wb") as output:
            done = subprocess.run(command, check=True, stdout=output, stderr=subprocess.PIPE)
    assert members(tmp_path / "a.tar.gz") == ["a.py"]
    assert b"digest" in done.stderr


@pytest.mark.parametrize("what", ["archive", "extraction"])
def test_what_a_killed_process_leaves_in_a_tree_is_in_no_later_archive(tree, tmp_path, what):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "large").rename(source / "large")
    if what == "archive":
        work = f"create_archive({str(source)!r}, {str(tree / 'code.tar.gz')!r}, level=12, progress=progress)"
    else:
        create_archive(source, tmp_path / "a.tar.gz", level=1)
        work = (
            f"extract_archive({str(tmp_path / 'a.tar.gz')!r}, {str(tree / 'out')!r}, "
            "max_ratio=1_000_000, progress=progress)"
        )
    script = (
        "from lightning_native import create_archive, extract_archive\n"
        f"progress = lambda done, _: done and print(done, flush=True)\n{work}"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    selection = select_files(tree)
    assert selection.files == ["a.py"]
    assert selection.folders == []
    assert all(reason.startswith("built-in rule: an ") for _, reason in selection.excluded)


def test_two_archives_of_a_tree_at_a_time_do_not_have_each_other(tree):
    (tree / "large").write_bytes(os.urandom(3_000_000))
    selected = []

    def select_meanwhile(done, _total):
        if done:
            selected.append(select_files(tree).files)

    create_archive(tree, tree / "one.tar.gz", progress=select_meanwhile)
    # The last selection is made when all files are read and the archive has no name yet.
    assert selected[-1] == ["a.py", "large"]


def test_an_extraction_into_a_tree_is_not_archived_while_it_goes_on(tree, tmp_path):
    create_archive(tree, tmp_path / "a.tar.gz")
    selections = []
    extract_archive(
        tmp_path / "a.tar.gz", tree / "out", progress=lambda _done, _total: selections.append(select_files(tree))
    )
    assert selections[-1].files == ["a.py"]
    assert [reason.split(" (")[0] for _, reason in selections[-1].excluded] == [
        "built-in rule: an extraction that has not ended"
    ]


@pytest.mark.parametrize(
    "name", [".code.tar.gzAb3xYz.partial", ".lightning-native-Ab3xYz.partial", "sub/.lightning-native-Ab3xYz.partial"]
)
def test_unfinished_archives_of_any_version_stay_out_and_say_so(tree, name, capsys):
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("x")
    assert select_files(tree).files == ["a.py"]
    assert main(["archive", str(tree), "--explain", name]) == 0
    assert "stays out: built-in rule: an archive that has not been completed" in capsys.readouterr().out
    assert select_files(tree, include=[name]).files == sorted([name, "a.py"])


@pytest.mark.parametrize("name", [".header.partial", "x.partial", ".lightning-native-notes", "data.parts", "a.facts"])
def test_files_that_are_only_called_alike_go_in(tree, name):
    (tree / name).write_text("x")
    assert name in select_files(tree).files


def test_a_cache_in_the_tree_stays_out_even_if_it_is_not_named(tree, tmp_path):
    create_archive(tree, tmp_path / "a", cache=tree / "cache")
    (tree / "cache/.parts-Ab3xYz").touch()
    assert len(list((tree / "cache").iterdir())) == 3
    assert select_files(tree).files == ["a.py"]


def test_other_output_files_are_clear_errors_too(tmp_path, capsys):
    (tmp_path / "r.txt").write_text("numpy\n")
    for output, problem in ((tmp_path, "Is a directory"), (tmp_path / "gone/x", "No such file")):
        assert main(["requirements", str(tmp_path / "r.txt"), "-o", str(output)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: cannot write {output}: {problem}")
        assert "Traceback" not in error
    (tmp_path / "link").symlink_to("merged.txt")
    assert main(["requirements", str(tmp_path / "r.txt"), "-o", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert Path(tmp_path / "merged.txt").read_text() == "numpy\n"


def test_a_local_cloud_and_our_records_in_a_tree_stay_out(tree, monkeypatch):
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tree / "records"))
    for path in (
        "cloud/.lightning-native-cloud",
        "cloud/api_key",
        "records/journal.sqlite",
        "home/.lightning-native/x",
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("x")
    selection = select_files(tree)
    assert selection.files == ["a.py"]
    assert selection.excluded == [
        ("cloud/", "built-in rule: secret: a local cloud and its keys (has .lightning-native-cloud)"),
        ("home/.lightning-native/", "built-in rule: records of lightning-native (.lightning-native/)"),
        ("records/", "records of lightning-native"),
    ]
    assert select_files(tree, include=["cloud/api_key"]).files == ["a.py", "cloud/api_key"]
