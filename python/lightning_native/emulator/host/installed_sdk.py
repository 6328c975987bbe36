"""The lightning-sdk that is installed beside the local cloud: most likely the one of its clients."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# The first version that reads LIGHTNING_KEEPALIVE_FREQUENCY as a number; it kills the thread of older ones.
_READS_KEEP_ALIVE_FREQUENCY = (2026, 8, 14)


@cache
def reads_keep_alive_frequency() -> bool:
    """Whether it reads a keep-alive frequency from the environment; a missing SDK counts as a new one."""
    try:
        numbers = version("lightning-sdk").split(".")[:3]
        return tuple(map(int, numbers)) >= _READS_KEEP_ALIVE_FREQUENCY
    except (PackageNotFoundError, ValueError):
        return True
