"""Options of the SDK's calls that some of its versions lack."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from lightning_native.errors import CloudError

# Options without which a call does nearly the same: the platform then decides how often it tries a job.
_DISPENSABLE = ("max_run_attempts",)


def fitting_options(call: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a call accepts; one that it lacks is left out if it is None or dispensable.

    Raises:
        CloudError: the installed SDK lacks an option that is neither.
    """
    known = inspect.signature(call).parameters
    for name, value in options.items():
        if name not in known and value is not None and name not in _DISPENSABLE:
            raise CloudError(
                f"lightning-sdk {version('lightning-sdk')} has no {name!r} for {call.__qualname__}; leave it out, or "
                "install a newer one: pip install --upgrade lightning-sdk"
            )
    return {name: value for name, value in options.items() if name in known}
