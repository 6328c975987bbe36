"""The versions of lightning-sdk that this package works with; `make test-sdk-range` tests them."""

import logging
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from lightning_native.errors import LightningNativeError

# As in pyproject.toml; a test compares both.
OLDEST, FIRST_UNTESTED = "2026.8.18", "2026.11"
# The oldest Python for lightning-sdk, and therefore for the engine.
_OLDEST_PYTHON = (3, 11)
logger = logging.getLogger("lightning_native")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())


def how_to_install(extras: str = "engine") -> str:
    """Return a remedy for missing extras: the command that installs them, or a newer Python."""
    if sys.version_info < _OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        return f"lightning-sdk needs Python 3.11 or newer, and this is {found}; use Python 3.11 to 3.13"
    return f"install it with: pip install 'lightning-native[{extras}]'"


@cache
def check_sdk_version() -> None:
    """Log one warning if the installed SDK is newer than the tested versions.

    Raises:
        LightningNativeError: the installed SDK is too old.
    """
    try:
        installed = version("lightning-sdk")
    except PackageNotFoundError:
        # The import raises an error with a remedy.
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
