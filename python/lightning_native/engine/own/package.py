"""The Python part of this package, packed for the machines of steps, so that no package index is asked for it.

It has every module and nothing compiled, so that it is the same from every computer.
"""

import shutil
import tempfile
import threading
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native import create_archive
from lightning_native.engine.packed import Packed

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_NAME = "lightning_native"
# A lock, because two threads must not write the same archive at once.
_PACKING = threading.Lock()


def pack_own_package(archive: Path) -> Packed:
    """Pack the Python part of this package, from a checkout, an installation or a zip file.

    Raises:
        ArchiveError: a module cannot be read, or the archive cannot be written.
    """
    with _PACKING, tempfile.TemporaryDirectory(prefix="lightning-native-") as temporary:
        _copy(resources.files(_NAME), Path(temporary) / _NAME)
        report = create_archive(temporary, archive, ignore_files=False)
        archive.chmod(0o600)
        return Packed.of(archive, report.digest)


def _copy(source: "Traversable", folder: Path) -> None:
    """Copy the modules of a package, which may be in a zip file, without the other files of its folders."""
    for entry in source.iterdir():
        if entry.is_dir() and entry.name.isidentifier() and not entry.name.startswith("__"):
            _copy(entry, folder / entry.name)
        elif entry.is_file() and entry.name.endswith(".py"):
            folder.mkdir(parents=True, exist_ok=True)
            with entry.open("rb") as module, (folder / entry.name).open("wb") as copy:
                shutil.copyfileobj(module, copy)
