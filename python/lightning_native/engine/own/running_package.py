"""The files of the running package, as a wheel has them: installed from a wheel, or in an editable checkout."""

import base64
import hashlib
import os
from dataclasses import dataclass
from email.parser import Parser
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import lightning_native
from lightning_native.errors import PlanError

PACKAGE = "lightning_native"
LIBRARY = f"{PACKAGE}/_native.abi3.so"
_DISTRIBUTION = "lightning-native"
_BUNDLED = f"{PACKAGE}.libs/"
# The metadata that describes the package, not its installation.
_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt")
_METADATA_FOLDERS = ("licenses/", "sboms/")
_INSTALL_AGAIN = f"install lightning-native again: pip install --force-reinstall --no-deps {_DISTRIBUTION}"


@dataclass(frozen=True)
class RunningPackage:
    """The running package.

    Attributes:
        version: the version in its metadata.
        files: the contents by name in a wheel; the native library is among them only if its name is `LIBRARY`.
        from_index: whether it was installed from a package index.
        checkout: the source tree of an editable installation.
    """

    version: str
    files: dict[str, bytes]
    from_index: bool
    checkout: Path | None

    @property
    def sources(self) -> dict[str, bytes]:
        """The files that are the same on every platform."""
        return {name: content for name, content in self.files.items() if is_source(name)}


def is_source(name: str) -> bool:
    """Return whether a file of a wheel is Python source or typing information of the package."""
    return name.startswith(f"{PACKAGE}/") and (name.endswith((".py", ".pyi")) or name == f"{PACKAGE}/py.typed")


def running_package() -> RunningPackage:
    """Read the running package.

    Raises:
        PlanError: the package is not installed, or a file cannot be read or is not the one that was installed.
    """
    folder = Path(lightning_native.__file__).parent
    try:
        installed = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        raise PlanError(
            f"{folder} is not installed, so no wheel can be made of it; install it with: "
            f"pip install --editable {folder.parent.parent}"
        ) from None
    recorded = _recorded_files(installed)
    is_editable = f"{PACKAGE}/__init__.py" not in recorded or not _is_of(installed, folder)
    if is_editable:
        recorded = {name: content for name, content in recorded.items() if not name.startswith(f"{PACKAGE}/")}
        recorded |= _checkout_files(folder)
    version = Parser().parsestr(installed.read_text("METADATA") or "").get("Version", "")
    from_index = not is_editable and installed.read_text("direct_url.json") is None
    return RunningPackage(version, recorded, from_index, folder.parent.parent if is_editable else None)


def _is_of(installed: Distribution, folder: Path) -> bool:
    return os.path.realpath(str(installed.locate_file(PACKAGE))) == os.path.realpath(folder)


def _recorded_files(installed: Distribution) -> dict[str, bytes]:
    """Return the files of an installation that belong into a wheel, each checked against its RECORD."""
    files = {}
    for file in installed.files or ():
        name = file.as_posix()
        if not _belongs(name):
            continue
        path = Path(str(installed.locate_file(file)))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PlanError(f"{path} cannot be read: {error.strerror}; {_INSTALL_AGAIN}") from error
        if file.hash is None or (file.hash.mode, file.hash.value) != ("sha256", record_hash(content)):
            raise PlanError(f"{path} is not the file that was installed; {_INSTALL_AGAIN}")
        files[name] = content
    return files


def _belongs(name: str) -> bool:
    folder, _, inner = name.partition("/")
    if folder.endswith(".dist-info"):
        return inner in _METADATA or inner.startswith(_METADATA_FOLDERS)
    return name.startswith((f"{PACKAGE}/", _BUNDLED)) and not name.endswith(".pyc")


def _checkout_files(folder: Path) -> dict[str, bytes]:
    files = {}
    for parent, folders, names in os.walk(folder):
        # Without caches, and copies that editors and notebooks keep.
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        for path in (Path(parent) / name for name in names if not name.startswith(".")):
            inner = f"{PACKAGE}/{path.relative_to(folder).as_posix()}"
            if (is_source(inner) or inner == LIBRARY) and path.is_file():
                files[inner] = path.read_bytes()
    return files


def record_hash(content: bytes) -> str:
    """Return the SHA-256 of a file as RECORD writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
