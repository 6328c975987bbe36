"""The time zones that schedules may have."""

from functools import cache

from lightning_native.lightning.sdk.internals import time_zone_names


@cache
def time_zones() -> tuple[str, ...]:
    """Return the names that the installed `lightning_sdk` accepts for schedules, and `UTC`."""
    return tuple(dict.fromkeys(["UTC", *time_zone_names()]))
