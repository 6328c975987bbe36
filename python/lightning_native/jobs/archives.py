"""Archives with a job's code, of any format, extracted without trust by `extract_archive`.

It reads tar.gz, so a tar or zip file is converted to an uncompressed one first. It checks names, links and kinds of
entries.
"""

import gzip
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from lightning_native import extract_archive
from lightning_native.errors import ArchiveError, UnsafeArchiveError

_GZIP_ARCHIVES = (".tar.gz", ".tgz")
ARCHIVES = (*_GZIP_ARCHIVES, ".zip", ".tar")
# The bounds of `extract_archive`, for the formats that are converted.
_MOST_BYTES = 1 << 40
_MOST_ENTRIES = 1_000_000
_GRACE = 64 << 20
_MOST_RATIO = 200
_CHUNK = 1 << 20
_LONGEST_LINK = 4096


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, which may be hostile, into a folder that is new or empty; completely or not at all.

    Raises:
        UnsafeArchiveError: an entry would be written elsewhere, is no file, folder or link, or is too large.
        ArchiveError: the archive is damaged.
        OSError: it cannot be read.
    """
    with archive.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if is_gzip or archive.name.endswith(_GZIP_ARCHIVES):
        extract_archive(archive, folder)
        return
    with tempfile.TemporaryDirectory(prefix="lightning-native-") as temporary:
        stored = Path(temporary) / "stored.tar.gz"
        with gzip.open(stored, "wb", compresslevel=0) as stream:
            if archive.name.endswith(".tar"):
                with archive.open("rb") as source:
                    shutil.copyfileobj(source, stream, _CHUNK)
            else:
                _copy_zip(archive, stream)
        try:
            extract_archive(stored, folder)
        except ArchiveError as error:
            # The message names the user's archive rather than its copy.
            raise type(error)(str(error).replace(str(stored), str(archive))) from error


def _copy_zip(archive: Path, stream: gzip.GzipFile) -> None:
    try:
        with zipfile.ZipFile(archive) as source, tarfile.open(fileobj=stream, mode="w|") as copy:
            entries = source.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise UnsafeArchiveError(f"refused to extract {archive}: it has more than {_MOST_ENTRIES} entries")
            most = min(_MOST_BYTES, max(_GRACE, _MOST_RATIO * archive.stat().st_size))
            for entry in entries:
                if not entry.filename:
                    raise UnsafeArchiveError(f"refused to extract {archive}: it has an entry without a name")
                most -= entry.file_size
                if most < 0:
                    raise UnsafeArchiveError(
                        f"refused to extract {archive}: with {entry.filename!r} its content is more than "
                        f"{_MOST_RATIO} times as large as itself; pack it as .tar.gz if that is right"
                    )
                # zipfile reads no more of an entry than its declared size.
                with source.open(entry) as content:
                    _copy_entry(entry, content, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, tarfile.TarError) as error:
        # RuntimeError: it is encrypted. NotImplementedError: Python lacks its compression.
        raise ArchiveError(f"cannot extract {archive}: {error}") from error


def _copy_entry(entry: zipfile.ZipInfo, content: IO[bytes], copy: tarfile.TarFile) -> None:
    """Add one entry of a zip file to a tar file, with its name unchanged."""
    header = tarfile.TarInfo(entry.filename)
    mode = entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    header.mode = 0o755 if mode & 0o100 else 0o644
    if entry.filename.endswith("/"):
        header.type = tarfile.DIRTYPE
        copy.addfile(header)
    elif stat.S_ISLNK(mode):
        header.type = tarfile.SYMTYPE
        header.linkname = content.read(_LONGEST_LINK).decode(errors="surrogateescape")
        copy.addfile(header)
    elif kind not in (0, stat.S_IFREG):
        raise UnsafeArchiveError(f"refused to extract {entry.filename!r}: it is a device or a named pipe")
    else:
        header.size = entry.file_size
        copy.addfile(header, content)
