"""The code of a job on its machine: where it is unpacked, what runs of it, in which folder, what it can import."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from urllib.parse import urlparse

from .errors import DriverError
from .unpacking import unpack_into_place

# Names the folder that the code's path is relative to, where it is in its place already.
CODE_VARIABLE = "LIGHTNING_NATIVE_JOB_CODE"
# The code, packed: a folder's contents, or files that lie beside each other.
FOLDER_ARCHIVE = "folder.tar.gz"
FILES_ARCHIVE = "files.tar.gz"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def unpacked_code(source: str) -> str:
    """Return the folder that holds the code; it is unpacked beside this program, unless it is in its place already."""
    if CODE_VARIABLE in os.environ:
        return os.path.dirname(os.path.join(os.path.abspath(os.environ[CODE_VARIABLE]), source.rstrip("/")))
    home = os.path.dirname(os.path.abspath(sys.argv[0]))
    code = os.path.join(home, "code")
    if os.path.isdir(code):
        # From an attempt before this one.
        return code
    archives = ((FOLDER_ARCHIVE, base_name(source)), (FILES_ARCHIVE, ""))
    for name, folder in archives:
        archive = os.path.join(home, name)
        if os.path.exists(archive):
            unpack_into_place(archive, code, folder)
            return code
    raise DriverError(f"the code of the job is not in {home}")


def base_name(uri: str) -> str:
    name = os.path.basename(urlparse(uri).path.rstrip("/") if "://" in uri else uri.rstrip("/"))
    # A folder that is named as the working folder, or the one above it, has no name here.
    return "" if name in (".", "..") else name


def code_root(code: str, name: str) -> str:
    root = os.path.join(code, name)
    return root if os.path.isdir(root) else code


def find_entry(code: str, name: str, entrypoint: str | None) -> str:
    """Return the file to run: in the folder that was named, or relative to what holds it."""
    if entrypoint is None:
        candidates = [os.path.join(code, name)]
    else:
        candidates = [os.path.join(code_root(code, name), entrypoint), os.path.join(code, entrypoint)]
    for path in candidates:
        if os.path.isfile(path):
            return path
    raise DriverError(f"{entrypoint or name} is not in the code; there are: {', '.join(listing(code))}")


def listing(folder: str) -> list[str]:
    found = sorted(glob.glob(os.path.join(folder, "*")) + glob.glob(os.path.join(folder, "*", "*")))
    return [os.path.relpath(path, folder) for path in found[:20]]


def enter(code: str, spec: Mapping[str, Any]) -> None:
    folder = os.path.join(code, spec.get("workingDir") or "")
    if not os.path.isdir(folder):
        raise DriverError(f"the working folder {folder} is not there; name it relative to the code")
    os.chdir(folder)
    for key, name in (("outputDir", "OUTPUT_DIR"), ("outputUri", "OUTPUT_URI"), ("workingDir", "WORKING_DIR")):
        if spec.get(key):
            # Where code that was written for ADS looks for it.
            os.environ.setdefault(name, spec[key])


def extend_path(code: str, spec: Mapping[str, Any]) -> None:
    for folder in [os.getcwd(), *map(os.path.abspath, paths(spec.get("pythonPath"))), code]:
        if folder not in sys.path:
            sys.path.append(folder)


def paths(value: str | Sequence[str] | None) -> list[str]:
    items = value.split(os.pathsep) if isinstance(value, str) else value or []
    return [os.path.expanduser(item) for item in items if item]


def words(value: str | Sequence[object] | None) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [str(item) for item in value or []]
