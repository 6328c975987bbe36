"""Uploads of which something else arrives: they are sent again, and their failure says so."""

from pathlib import Path

import pytest

from lightning_native.errors import CloudError, UnreachableError
from lightning_native.lightning.verified_upload import upload_verified


class Store:
    """A store in which the first uploads arrive damaged."""

    def __init__(self, path: Path, damaged: int) -> None:
        self.path = path
        self.damaged = damaged
        self.uploads = 0
        self.content = b""

    def upload(self) -> None:
        self.uploads += 1
        content = self.path.read_bytes()
        self.content = content[:-1] + b"?" if self.uploads <= self.damaged else content

    def download(self, path: Path) -> bool:
        path.write_bytes(self.content)
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content " * 1000)
    return path


def test_a_damaged_upload_is_sent_again(path: Path) -> None:
    store = Store(path, damaged=2)
    upload_verified(path, "x/file", store.upload, store.download)
    assert store.uploads == 3
    assert store.content == path.read_bytes()


def test_an_upload_that_is_damaged_each_time_is_an_error_with_its_name(path: Path) -> None:
    store = Store(path, damaged=100)
    with pytest.raises(UnreachableError, match="cannot upload x/file: it arrived damaged 4 times"):
        upload_verified(path, "x/file", store.upload, store.download)


@pytest.mark.parametrize("error", [None, CloudError("503"), OSError("no room")])
def test_an_upload_that_cannot_be_read_yet_is_left_to_its_reader(path: Path, error: Exception | None) -> None:
    store = Store(path, damaged=0)

    def download(_path: Path) -> bool:
        if error is not None:
            raise error
        return False

    upload_verified(path, "x/file", store.upload, download)
    assert store.uploads == 1


def test_an_upload_is_no_failure_where_memory_has_no_room_for_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lightning_native.lightning.verified_upload._MEMORY", tmp_path / "missing")
    store = Store(path, damaged=1)
    upload_verified(path, "x/file", store.upload, store.download)
    assert store.uploads == 2
