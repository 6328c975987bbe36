"""A job's code on this computer: looked for, checked, and packed as the driver unpacks it."""

import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from lightning_native import create_archive, extract_archive
from lightning_native.errors import JobError
from lightning_native.jobs.driver.code import FILES_ARCHIVE, FOLDER_ARCHIVE
from lightning_native.jobs.lightning.translation import WEB_SCHEMES

_GZIP_ARCHIVES = (".tar.gz", ".tgz")
_ARCHIVES = (*_GZIP_ARCHIVES, ".zip", ".tar")


@dataclass(frozen=True)
class PackedCode:
    """A job's code in one file; `name` says how the driver unpacks it."""

    path: Path
    name: str
    files: int
    bytes: int
    excluded: int


@contextmanager
def packed_code(source: str, entry: str | None = None, *, single_file: bool = False) -> Iterator[PackedCode]:
    """Pack the code that a job needs, and remove the packed file at the end.

    Args:
        source: path of a file, a folder or an archive, or the URL of a file or an archive.
        entry: a file that must be in a folder.
        single_file: whether the source itself is what runs.

    Raises:
        JobError: the code is not there, or lacks its entry.
        ArchiveError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="lightning-native-") as temporary:
        folder = Path(temporary)
        path = _fetched(source, folder) if urlparse(source).scheme in WEB_SCHEMES else Path(source).expanduser()
        if single_file and (path.is_dir() or path.name.endswith(_ARCHIVES)):
            raise JobError(f"{source} is no file that could run; name the file in it as entrypoint")
        if path.is_dir():
            _check_entry(path, entry)
            root, name, ignore_files = path, FOLDER_ARCHIVE, True
        else:
            root, name, ignore_files = folder / "files", FILES_ARCHIVE, False
            root.mkdir()
            _unpack_or_copy(path, root)
        report = create_archive(root, folder / name, ignore_files=ignore_files)
        yield PackedCode(folder / name, name, report.files, report.bytes_out, len(report.excluded))


def _fetched(url: str, folder: Path) -> Path:
    path = folder / (Path(urlparse(url).path).name or "code")
    try:
        with urllib.request.urlopen(url) as stream, path.open("wb") as file:  # noqa: S310  its scheme was looked at
            shutil.copyfileobj(stream, file)
    except OSError as error:
        raise JobError(f"{url} cannot be downloaded: {error}") from error
    return path


def _unpack_or_copy(path: Path, folder: Path) -> None:
    try:
        if path.name.endswith(_GZIP_ARCHIVES):
            extract_archive(path, folder)
        elif path.name.endswith(_ARCHIVES):
            shutil.unpack_archive(path, folder)
        else:
            shutil.copy(path, folder / path.name)
    except (OSError, shutil.ReadError) as error:
        raise JobError(f"the code {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _check_entry(folder: Path, entry: str | None) -> None:
    if entry is None or (folder / entry).exists() or (folder.absolute().parent / entry).exists():
        return
    raise JobError(f"{entry} is not in {folder}; name the entrypoint relative to that folder")
