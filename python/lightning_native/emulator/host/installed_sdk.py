"""The lightning-sdk that is installed beside the local cloud, which its clients most likely use."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# The first that reads LIGHTNING_KEEPALIVE_FREQUENCY as a number; in older ones the thread that reads it dies.
_READS_KEEP_ALIVE_FREQUENCY = (2026, 8, 14)


@cache
def reads_keep_alive_frequency() -> bool:
    """Tell whether it takes a keep-alive frequency from the environment; one that is not there is taken for new."""
    try:
        numbers = version("lightning-sdk").split(".")[:3]
        return tuple(map(int, numbers)) >= _READS_KEEP_ALIVE_FREQUENCY
    except (PackageNotFoundError, ValueError):
        return True
