"""A search for texts in the files of a folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def files_below(*folders: Path) -> Iterator[Path]:
    """Yield the regular files below folders that other processes may be changing."""
    # Not `rglob`, which raises for a folder that is deleted during the search.
    for folder in folders:
        for root, _, names in os.walk(folder):
            yield from (path for name in names if (path := Path(root, name)).is_file())


def files_with(text: str, *folders: Path) -> list[Path]:
    """Return the files that contain a text below folders, which other processes may be changing."""
    found = []
    for path in files_below(*folders):
        with contextlib.suppress(FileNotFoundError):
            if text.encode() in path.read_bytes():
                found.append(path)
    return found
