"""The versions of lightning-sdk that this package works with, as `make test-sdk-range` runs them."""

import logging
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from lightning_native.errors import LightningNativeError

# The same as in pyproject.toml, which a test compares.
OLDEST, FIRST_UNTESTED = "2026.8.18", "2026.11"
# Of Python, which lightning-sdk and so the engine need.
_OLDEST_PYTHON = (3, 11)
logger = logging.getLogger("lightning_native")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())


def how_to_install(extras: str = "engine") -> str:
    """Return how to get lightning-sdk with some of our extras: there is none for Python 3.10."""
    if sys.version_info < _OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        return f"lightning-sdk needs Python 3.11 or newer, and this is {found}; use Python 3.11 to 3.13"
    return f"install it with: pip install 'lightning-native[{extras}]'"


@cache
def check_sdk_version() -> None:
    """Say in one line, once, that the installed SDK is newer than what was tested.

    Raises:
        LightningNativeError: it is too old.
    """
    try:
        installed = version("lightning-sdk")
    except PackageNotFoundError:
        # Importing it says more.
        return
    if _numbers(installed) < _numbers(OLDEST):
        raise LightningNativeError(
            f"lightning-sdk {installed} is too old, {OLDEST} is the oldest that works; "
            "update it with: pip install --upgrade 'lightning-native[engine]'"
        )
    if _numbers(installed) >= _numbers(FIRST_UNTESTED):
        logger.warning(
            "lightning-sdk %s is newer than what was tested (before %s); if something fails, install an older one: "
            "pip install 'lightning-native[engine]'",
            installed,
            FIRST_UNTESTED,
        )
