"""A job's code on this computer: found, checked, and packed in the form that the driver unpacks."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from lightning_native import create_archive
from lightning_native.errors import ArchiveError, JobError
from lightning_native.jobs.archives import ARCHIVES, unpack
from lightning_native.jobs.download import download, probe
from lightning_native.jobs.driver.code import FILES_ARCHIVE, FOLDER_ARCHIVE, base_name
from lightning_native.jobs.lightning.translation import WEB_SCHEMES
from lightning_native.progress_bar import ProgressBar
from lightning_native.user_input.user_files import check_regular

_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class PackedCode:
    """A job's code in one file; from `name` the driver knows how to unpack it."""

    path: Path
    name: str
    files: int
    bytes: int
    excluded: int


@contextmanager
def packed_code(source: str, entry: str | None = None, *, single_file: bool = False) -> Iterator[PackedCode]:
    """Pack a job's code, and remove the packed file at the end.

    Args:
        source: path of a file, a folder or an archive, or the URL of a file or an archive.
        entry: a file that a folder must have.
        single_file: whether the source itself runs, so that it must be a file.

    Raises:
        JobError: the code is missing, or lacks its entry.
        ArchiveError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="lightning-native-") as temporary:
        folder = Path(temporary)
        path = _fetched(source, folder) if _is_url(source) else local_path(source)
        if single_file and (path.is_dir() or path.name.endswith(ARCHIVES)):
            raise JobError(f"{source} is no file that could run; name the file in it as entrypoint")
        if path.is_dir():
            _check_entry(path, entry)
            root, name, ignore_files = path, FOLDER_ARCHIVE, True
        else:
            root, name, ignore_files = folder / "files", FILES_ARCHIVE, False
            root.mkdir()
            _unpack_or_copy(path, root)
        with ProgressBar("packing the code") as progress:
            report = create_archive(root, folder / name, ignore_files=ignore_files, progress=progress)
        yield PackedCode(folder / name, name, report.files, report.bytes_out, len(report.excluded))


def check_source(source: str) -> None:
    """Check, without reading all of it, that the code can be read; a missing path passes.

    Raises:
        JobError: it is no file, folder or archive, or its server does not answer.
    """
    if _is_url(source):
        probe(source)
    elif (path := local_path(source)).exists() and not path.is_dir():
        _check_file(path)


def _is_url(source: str) -> bool:
    return urlparse(source).scheme in WEB_SCHEMES


def local_path(source: str) -> Path:
    """Return the path of code on this computer, whether or not it exists.

    Raises:
        JobError: it cannot be a path, or its folder may not be read.
    """
    try:
        path = Path(source).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        shown = source if len(source) < _LONGEST_SHOWN else f"{source[:_LONGEST_SHOWN]}…"
        reason = error.strerror if isinstance(error, OSError) else error
        raise JobError(f"the code {shown!r} cannot be looked for: {reason}") from error
    return path


def _fetched(url: str, folder: Path) -> Path:
    # The name by which the driver finds it.
    path = folder / (base_name(url) or "code")
    download(url, path)
    return path


def _check_file(path: Path) -> None:
    try:
        check_regular(path.stat())
    except OSError as error:
        raise JobError(f"the code {path} cannot be read: {error.strerror or error}") from error


def _unpack_or_copy(path: Path, folder: Path) -> None:
    _check_file(path)
    try:
        if path.name.endswith(ARCHIVES):
            unpack(path, folder)
        else:
            shutil.copy(path, folder / path.name)
    except ArchiveError as error:
        raise type(error)(f"the code {path} cannot be unpacked: {error}") from error
    except OSError as error:
        raise JobError(f"the code {path} cannot be read: {error.strerror or error}") from error


def _check_entry(folder: Path, entry: str | None) -> None:
    if entry is None or (folder / entry).exists() or (folder.absolute().parent / entry).exists():
        return
    raise JobError(f"{entry} is not in {folder}; name the entrypoint relative to that folder")
