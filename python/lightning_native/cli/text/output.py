"""Files that commands write because `--output` names them."""

import os
from pathlib import Path

from lightning_native.errors import LightningNativeError


def write_output(path: Path, text: str) -> None:
    """Write a text to the user's path: through links, and into pipes and devices."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LightningNativeError(
            f"cannot write {path}: {error.strerror}; name a file in a folder that exists with --output"
        ) from error


def is_stdout(path: Path) -> bool:
    """Return whether a path leads to this process's standard output."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False
