"""Names of studios, jobs and pipelines."""

import re
import unicodedata
from collections.abc import Iterable

from lightning_native.emulator.api_error import ApiError

# A name is also the name of a folder on the drive.
_MAX_BYTES = 255
_NO_SLUG = re.compile(r"[^a-z0-9-]")
_NOT_WRITTEN = {"Cc", "Cs", "Zl", "Zp"}


def check_name(name: str) -> str:
    """Return a name without blanks around it; 400 when a folder cannot have it."""
    name = name.strip()
    if not name or "/" in name or name in (".", ".."):
        raise ApiError(400, f"{name!r} is no name")
    if any(unicodedata.category(character) in _NOT_WRITTEN for character in name):
        raise ApiError(400, f"{name[:50]!r} is no name: it has characters that control a terminal, or ends a line")
    if len(name.encode()) > _MAX_BYTES:
        raise ApiError(400, f"{name[:50] + '…'!r} is no name: it is longer than {_MAX_BYTES} bytes")
    return name


def slug(name: str) -> str:
    """Return the name that the platform gives a job or pipeline for the one asked for.

    `ci-2025-05-01|09:45:25_examples/quickstart/mlp.py` became `ci-2025-05-01-09-45-25-examples-quickstart-mlp-py`
    (Lightning-AI/lightning-thunder#2011), and capitals become small letters.
    """
    given = name.strip()
    if any(unicodedata.category(character) in _NOT_WRITTEN for character in given):
        return check_name(given)
    found = _NO_SLUG.sub("-", given.lower())
    if not found.strip("-"):
        raise ApiError(400, f"{given[:50]!r} is no name: it has no letter from a to z and no digit")
    return check_name(found)


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number behind it if it is taken: the platform too renames rather than refuses."""
    name = check_name(name)
    names = set(taken)
    free, number = name, 2
    while free in names:
        free, number = f"{name}-{number}", number + 1
    return check_name(free)
