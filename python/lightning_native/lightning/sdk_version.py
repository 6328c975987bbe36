"""The versions of lightning-sdk that this package works with, as `make test-sdk-range` runs them."""

import logging
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from lightning_native.errors import LightningNativeError

# The same as in pyproject.toml, which a test compares.
OLDEST, FIRST_UNTESTED = "2026.8.18", "2026.11"
logger = logging.getLogger("lightning_native")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())


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
