"""Secrets that are recognized in any place, and a watch that finds them while something runs."""

import contextlib
import gzip
import io
import os
import re
import secrets
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

_LOOK_SECONDS = 0.01
_SCAN_SECONDS = 0.3
_LARGEST_FILE = 64 * 1024 * 1024
# Tokens of ZenML, which creates new ones for each run.
_TOKEN = re.compile(rb"eyJhbGciOi[\w-]+\.[\w-]{60,}\.[\w-]+")
_MAGIC = re.compile(rb"canary-[a-z-]+-[0-9a-f]{24}")


def new_canary(kind: str) -> str:
    """Return a new secret that contains its kind, such as `index-password`."""
    return f"canary-{kind}-{secrets.token_hex(12)}"


@dataclass(frozen=True, order=True)
class Sighting:
    """A secret and its place: the argument list of a process, or a file (path relative to the watched folder)."""

    kind: str
    where: str


@dataclass
class CanaryWatch:
    """A watch of all processes' argument lists and some folders' files for secrets, and for ZenML's tokens.

    Args:
        canaries: the secret of each kind.
        folders: the watched folders, each by the short name that sightings have.
    """

    canaries: dict[str, str]
    folders: dict[str, Path]
    arguments: set[Sighting] = field(default_factory=set)
    files: set[Sighting] = field(default_factory=set)
    modes: set[Sighting] = field(default_factory=set)
    looks: int = 0

    def __post_init__(self) -> None:
        self._kinds = {value.encode(): kind for kind, value in self.canaries.items()}
        self._pattern = re.compile(b"|".join(map(re.escape, self._kinds)))
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._watch_arguments), threading.Thread(target=self._watch_files)]

    def __enter__(self) -> "CanaryWatch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _watch_arguments(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.looks += 1
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    with contextlib.suppress(OSError):
                        line = (process / "cmdline").read_bytes()
                        self.arguments.update(Sighting(kind, _shown(line)) for kind in self._kinds_in(line))

    def _watch_files(self) -> None:
        since = time.time()
        while not self._stopped.wait(_SCAN_SECONDS):
            begun = time.time()
            # One second earlier, because clocks of file systems are coarse, and a file may be written while it is read.
            self.files |= self.scan(changed_since=since - 1.0)
            since = begun

    def scan(self, *, changed_since: float = 0.0) -> set[Sighting]:
        """Return the watched folders' files that contain a secret now, also in packed form."""
        found = set()
        for name, folder in self.folders.items():
            for path in _regular_files(folder):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    if max(status.st_mtime, status.st_ctime) < changed_since or status.st_size > _LARGEST_FILE:
                        continue
                    where = f"{name}/{path.relative_to(folder)}"
                    sightings = {Sighting(kind, where) for kind in self._kinds_in_file(path)}
                    found |= sightings
                    if sightings and _others_reach(path, folder):
                        self.modes |= sightings
        return found

    def _kinds_in_file(self, path: Path) -> set[str]:
        content = path.read_bytes()
        return {kind for data in _unpacked(content) for kind in self._kinds_in(data)}

    def _kinds_in(self, data: bytes) -> set[str]:
        found = {self._kinds[match] for match in self._pattern.findall(data)}
        return found | {"zenml-token"} if _TOKEN.search(data) else found

    def kinds_in(self, text: str) -> set[str]:
        """Return the kinds of the secrets that are in a text, such as a command's output."""
        return self._kinds_in(text.encode())


def unexpected(sightings: Iterable[Sighting], allowed: Iterable[tuple[str, str]]) -> list[Sighting]:
    """Return the sightings that no `(kind, place)` allows; both are patterns of `fnmatch`."""
    rules = list(allowed)
    return sorted(
        sighting
        for sighting in sightings
        if not any(fnmatch(sighting.kind, kind) and fnmatch(sighting.where, place) for kind, place in rules)
    )


def _regular_files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            # Without the targets of links, such as the packages of this machine.
            if path.is_file() and not path.is_symlink():
                yield path


def _others_reach(path: Path, folder: Path) -> bool:
    """Return whether the modes of a file and of the folders above it let other users read it."""
    between = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
    return bool(path.stat().st_mode & 0o044) and all(parent.stat().st_mode & 0o011 for parent in between)


def _unpacked(content: bytes) -> Iterator[bytes]:
    """Yield a file's bytes, and the bytes that are packed in it."""
    yield content
    if content.startswith(b"\x1f\x8b"):
        with contextlib.suppress(OSError, EOFError):
            plain = gzip.decompress(content)
            yield plain
            with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(plain)) as archive:
                # The names are a text of their own, because the archive splits long ones.
                yield "\n".join(archive.getnames()).encode()
    elif content.startswith(b"PK\x03\x04"):
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                yield packed.read(name)


def _shown(line: bytes) -> str:
    """Return an argument list for people, with its secrets cut to their kinds."""
    masked = _MAGIC.sub(lambda match: match[0][:-24] + b"...", line)
    return masked.replace(b"\0", b" ").decode(errors="replace")[:300]
