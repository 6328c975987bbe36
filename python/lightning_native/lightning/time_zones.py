"""The time zones that schedules may have."""

from functools import cache

from lightning_native.lightning.sdk_module import sdk_module


@cache
def time_zones() -> tuple[str, ...]:
    """Return the names that the installed `lightning_sdk` lets schedules have, and `UTC`."""
    return tuple(dict.fromkeys(["UTC", *sdk_module("pipeline/schedule")._TIMEZONES]))
