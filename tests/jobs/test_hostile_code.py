"""Code from an archive or from the web: no file is written outside of its folder, and no download is endless."""

import contextlib
import errno
import http.server
import inspect
import io
import os
import socket
import stat
import sys
import tarfile
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native import agent, extract_archive
from lightning_native.cli import main
from lightning_native.errors import ArchiveError, JobError, UnsafeArchiveError
from lightning_native.jobs import download
from lightning_native.jobs.archives import unpack
from lightning_native.jobs.code import packed_code
from lightning_native.jobs.driver import unpacking
from lightning_native.jobs.driver.code import base_name, unpacked_code
from lightning_native.jobs.driver.errors import DriverError
from lightning_native.jobs.driver.transfer import fetch

Entry = tuple[str, bytes, bytes, str]


def entry(name: str, *, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "") -> Entry:
    return name, kind, content, link


def write_tar(path: Path, entries: list[Entry], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, content, link in entries:
            header = tarfile.TarInfo(name)
            header.type, header.linkname, header.mode = kind, link, 0o6755
            header.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(header, io.BytesIO(content))
    return path


def write_zip(path: Path, entries: list[Entry]) -> Path:
    kinds = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR}
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, kind, content, link in entries:
            header = zipfile.ZipInfo(name + "/" if kind == tarfile.DIRTYPE else name or ".")
            header.external_attr = (kinds.get(kind, stat.S_IFREG) | 0o755) << 16
            archive.writestr(header, link.encode() if kind == tarfile.SYMTYPE else content)
    return path


def snapshot(folder: Path) -> dict[str, Any]:
    """Return what is below a folder, through no link."""
    found: dict[str, Any] = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(root, name)
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
            found[str(path.relative_to(folder))] = (stat.S_IFMT(status.st_mode), content)
    return found


OUTSIDE = "written.py"
HOSTILE = {
    "absolute": lambda victim: [entry(str(victim / OUTSIDE), content=b"x")],
    "above": lambda _: [entry(f"../{OUTSIDE}", content=b"x")],
    "above from within": lambda _: [entry(f"a/../../{OUTSIDE}", content=b"x")],
    "through a link": lambda victim: [
        entry("way", kind=tarfile.SYMTYPE, link=str(victim)),
        entry(f"way/{OUTSIDE}", content=b"x"),
    ],
    "through a chain of links": lambda _: [
        entry("a", kind=tarfile.SYMTYPE, link="."),
        entry("b", kind=tarfile.SYMTYPE, link="a/.."),
        entry(f"b/{OUTSIDE}", content=b"x"),
    ],
    "over a link": lambda victim: [
        entry("x.py", kind=tarfile.SYMTYPE, link=str(victim / OUTSIDE)),
        entry("x.py", content=b"x"),
    ],
}
NOT_IN_ZIP = {
    "a hard link outside": lambda victim: [entry("x", kind=tarfile.LNKTYPE, link=str(victim / "secret"))],
    "a device": lambda _: [entry("x", kind=tarfile.CHRTYPE)],
    "a pipe": lambda _: [entry("x", kind=tarfile.FIFOTYPE)],
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.mark.parametrize("name", [*HOSTILE, *NOT_IN_ZIP])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_code_of_an_archive_is_written_nowhere_else(
    tmp_path: Path, victim: Path, suffix: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == ".zip" and name in NOT_IN_ZIP:
        pytest.skip("a zip file has none")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    entries = (HOSTILE | NOT_IN_ZIP)[name](victim)
    path = tmp_path / f"code{suffix}"
    write_zip(path, entries) if suffix == ".zip" else write_tar(path, entries, "w:gz" if suffix == ".tar.gz" else "w")
    before = snapshot(tmp_path)
    with pytest.raises(ArchiveError, match="code") as refused, packed_code(str(path)):
        pass
    assert isinstance(refused.value, UnsafeArchiveError)
    # The error names the entry, and the archive by the user's path.
    assert any(repr(one[0])[1:-1] in str(refused.value) for one in entries)
    assert str(path) in str(refused.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_honest_archives_arrive_whole(tmp_path: Path, suffix: str) -> None:
    entries = [
        entry("app", kind=tarfile.DIRTYPE),
        entry("app/main.py", content=b"print(1)"),
        entry("app/again.py", kind=tarfile.SYMTYPE, link="main.py"),
    ]
    path = tmp_path / f"app{suffix}"
    write_zip(path, entries) if suffix == ".zip" else write_tar(path, entries)
    with packed_code(str(path)) as packed:
        extract_archive(packed.path, tmp_path / "out")
    assert (tmp_path / "out" / "app" / "again.py").read_text() == "print(1)"
    # The file has neither the set-user-ID bit nor the set-group-ID bit.
    assert (tmp_path / "out" / "app" / "main.py").stat().st_mode & 0o6000 == 0


def test_a_small_zip_does_not_become_a_large_folder(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeArchiveError, match=r"'zeros'.*200 times"), packed_code(str(path)):
        pass


@pytest.mark.parametrize("name", ["code.zip", "code.tar", "code.tgz"])
def test_a_file_that_only_looks_like_an_archive_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive at all")
    with pytest.raises(ArchiveError, match=name), packed_code(str(tmp_path / name)):
        pass


def leads_nowhere(path: Path) -> bool:
    """Return whether a path is a link that leads back to itself, for which Python's `realpath` invents a path."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
names = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c"]), min_size=1, max_size=4).map("/".join)
entries_of_archives = st.lists(
    st.builds(lambda name, kind, link: (name, kind, b"content", link), names, kinds, names), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(entries=entries_of_archives, suffix=st.sampled_from([".tar", ".zip"]))
def test_no_archive_writes_outside_with_either_extractor(entries: list[Entry], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        around = Path(temporary)
        (around / "b").write_text("the user's")
        path = around / f"code{suffix}"
        write_zip(path, entries) if suffix == ".zip" else write_tar(path, entries)
        before = snapshot(around)
        out = around / "out"
        try:
            unpack(path, out)
        except ArchiveError:
            assert not out.exists()
        else:
            for found in out.rglob("*"):
                if not leads_nowhere(found):
                    assert Path(os.path.realpath(found)).is_relative_to(os.path.realpath(out))
        assert {name: value for name, value in snapshot(around).items() if Path(name).parts[0] != "out"} == before
        if suffix == ".tar":
            inner = around / "inner"
            inner.mkdir()
            # Our extractor for machines reads only archives of ours, so it is less strict, e.g. about repeated folders.
            with contextlib.suppress(ValueError, OSError):
                unpacking.unpack_tar(str(path), str(inner))
            after = snapshot(around)
            assert {name: after[name] for name in before} == before
            assert {Path(name).parts[0] for name in after} <= {Path(name).parts[0] for name in before} | {
                "inner",
                "out",
            }


@pytest.mark.parametrize("name", [*HOSTILE, *NOT_IN_ZIP])
def test_the_machines_extractor_writes_nowhere_else(tmp_path: Path, victim: Path, name: str) -> None:
    archive = write_tar(tmp_path / "code.tar", (HOSTILE | NOT_IN_ZIP)[name](victim))
    out = tmp_path / "out"
    out.mkdir()
    before = snapshot(victim)
    with pytest.raises(ValueError, match=r"outside|twice|neither"):
        unpacking.unpack_tar(str(archive), str(out))
    assert snapshot(victim) == before
    assert not (tmp_path / OUTSIDE).exists()


def test_the_agent_and_the_driver_unpack_by_the_same_code() -> None:
    assert inspect.getsource(agent.unpack_tar) == inspect.getsource(unpacking.unpack_tar)
    assert (agent.MOST_BYTES, agent.MOST_ENTRIES) == (unpacking.MOST_BYTES, unpacking.MOST_ENTRIES)


def test_the_machines_extractor_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_tar(tmp_path / "code.tar", [entry("a", content=b"12"), entry("b", content=b"34")])
    monkeypatch.setattr(unpacking, "MOST_BYTES", 3)
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="'b' is more"):
        unpacking.unpack_tar(str(archive), str(tmp_path / "out"))


def test_a_driver_leaves_nothing_of_code_that_it_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "driver.pyz")])
    monkeypatch.delenv("LIGHTNING_NATIVE_JOB_CODE", raising=False)
    write_tar(tmp_path / "files.tar.gz", [entry("ok.py", content=b"1"), entry("../x.py", content=b"1")], "w:gz")
    with pytest.raises(DriverError, match=r"'\.\./x\.py' lies outside"):
        unpacked_code("code.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["files.tar.gz"]


@pytest.mark.parametrize("source", ["..", "../", ".", "a/.."])
def test_the_folder_above_has_no_name_on_the_machine(source: str) -> None:
    assert base_name(source) == ""


class Server(http.server.BaseHTTPRequestHandler):
    """A server that redirects, also to other protocols, sends an endless file, and records requests' credentials."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/to-"):
            self.send_response(302)
            target = {"/to-file": "file:///etc/passwd", "/to-ftp": "ftp://127.0.0.1/x", "/to-x": "/x.py"}[self.path]
            self.send_header("Location", target)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/endless.py":
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))
        self.wfile.write(b"print('came')")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Run a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("way", ["/to-file", "/to-ftp"])
def test_a_download_does_not_leave_the_web(server: str, way: str) -> None:
    with pytest.raises(JobError, match=r"not on the web|not allowed"), packed_code(f"http://{server}{way}"):
        pass
    if way == "/to-ftp":
        with pytest.raises(DriverError, match="not on the web"):
            fetch(f"http://{server}{way}", "input")


def test_a_download_ends_at_its_bound(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 20)
    url = f"http://{server}/endless.py"
    with pytest.raises(JobError, match=r"endless\.py cannot be downloaded: it has more than"), packed_code(url):
        pass


def test_plan_does_not_wait_for_a_silent_server(
    tmp_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "_PATIENCE_SECONDS", 0.2)
    job = tmp_path / "job.yaml"
    job.write_text(
        "kind: job\nspec:\n  runtime:\n    kind: runtime\n    type: script\n    spec:\n"
        f"      scriptPathURI: http://{silent_server}/code.tar.gz\n"
    )
    assert main(["job", "plan", str(job)]) == 1
    errors = capsys.readouterr().err
    assert silent_server in errors
    assert "download it yourself" in errors


def test_plan_refuses_code_that_has_no_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    for source in ("/dev/zero", str(pipe)):
        job = tmp_path / "job.yaml"
        job.write_text(
            "kind: job\nspec:\n  runtime:\n    kind: runtime\n    type: script\n    spec:\n"
            f"      scriptPathURI: {source}\n"
        )
        assert main(["job", "plan", str(job)]) == 1
        assert "no regular file" in capsys.readouterr().err
        with pytest.raises(JobError, match="no regular file"), packed_code(source):
            pass


def test_credentials_of_a_code_url_come_from_the_environment_and_go_to_its_host_only(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://me:hunter2@{server}/x.py"
    with pytest.raises(JobError, match="put them into a variable") as refused, packed_code(url):
        pass
    assert "hunter2" not in str(refused.value)
    with pytest.raises(JobError, match="does not have"), packed_code(f"http://me:${{NO_SUCH_PASSWORD}}@{server}/x.py"):
        pass
    monkeypatch.setenv("CODE_PASSWORD", "hunter2")
    with packed_code(f"http://me:${{CODE_PASSWORD}}@{server}/to-x") as packed:
        assert packed.files == 1
    assert Server.asked == [("/to-x", "Basic bWU6aHVudGVyMg=="), ("/x.py", None)]
