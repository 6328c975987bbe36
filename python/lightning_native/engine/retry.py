"""Calls that may fail for a while, or without harm."""

from collections.abc import Callable
from typing import TypeVar

from lightning_native.engine.context import RunContext
from lightning_native.errors import CloudError, OutOfCapacityError

T = TypeVar("T")
# Seconds between tries.
_DELAYS = (0.5, 1.0, 2.0)


def quietly(action: Callable[[], object]) -> bool:
    """Do what may fail without harm, because the journal keeps what is left to do; tell whether it went well."""
    try:
        action()
    except Exception:
        return False
    return True


def patiently(context: RunContext, action: Callable[[], T]) -> T:
    """Do what may be repeated, a few times if Lightning fails.

    Raises:
        CloudError: it failed each time; OutOfCapacityError at once, because waiting for a machine is not done here.
    """
    for delay in _DELAYS:
        try:
            return action()
        except OutOfCapacityError:
            raise
        except CloudError:
            context.cancellation.wait(delay)
    return action()
