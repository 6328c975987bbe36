"""The code of a job on its machine: its folder, its entrypoint, its working folder and its import path."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from urllib.parse import urlparse

from .errors import DriverError
from .unpacking import unpack_into_place

# The variable with the folder to which the code's path is relative, if the code is in its place already.
CODE_VARIABLE = "LIGHTNING_NATIVE_JOB_CODE"
# The packed code: the content of a folder, or files side by side.
FOLDER_ARCHIVE = "folder.tar.gz"
FILES_ARCHIVE = "files.tar.gz"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def unpacked_code(source: str) -> str:
    """Return the folder with the code, unpacked beside this program unless the code is in its place already."""
    if CODE_VARIABLE in os.environ:
        return os.path.dirname(os.path.join(os.path.abspath(os.environ[CODE_VARIABLE]), source.rstrip("/")))
    home = os.path.dirname(os.path.abspath(sys.argv[0]))
    code = os.path.join(home, "code")
    if os.path.isdir(code):
        # An earlier attempt has unpacked it.
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
    # The working folder and its parent have no name of their own.
    return "" if name in (".", "..") else name


def code_root(code: str, name: str) -> str:
    root = os.path.join(code, name)
    return root if os.path.isdir(root) else code


def find_entry(code: str, name: str, entrypoint: str | None) -> str:
    """Return the file to run: in the named folder, or relative to that folder's parent."""
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
            # Code that was written for ADS reads these variables.
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
