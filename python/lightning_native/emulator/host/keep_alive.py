"""Processes on a local cloud's own machines that keep it running when its last user is gone: controllers of runs.

The server recognizes such a process by a variable, because it sees neither the root nor the locks in it.
"""

import hashlib
from pathlib import Path

from lightning_native.emulator.host import processes

_VARIABLE = "LIGHTNING_NATIVE_KEEPS_CLOUD"


def keeping(root: Path) -> dict[str, str]:
    """Return the variable of a process that keeps the cloud of a root running, without the path of the root."""
    return {_VARIABLE: hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]}


def is_kept(root: Path) -> bool:
    """Whether such a process runs."""
    ((name, value),) = keeping(root).items()
    return processes.any_has(name, value)
