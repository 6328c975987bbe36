"""The start of a studio on a machine, and the proof that it is this machine, with its GPU.

A studio that is asked for a GPU which its cloud account lacks may come up on a CPU, with a warning that nobody reads.
"""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.retry import best_effort
from lightning_native.errors import CloudError, OutOfCapacityError
from lightning_native.lightning.cloud import StudioHandle
from lightning_native.lightning.machines import has_gpu

# The driver is there before Python is, but a machine that was switched may answer for its former self for a while.
_DEVICE_TRIES = 30
_DEVICE_PAUSE_SECONDS = 4.0
_FIND_DEVICE = ("sh", "-c", "test -e /dev/nvidia0 || nvidia-smi -L")


def start_on(
    handle: StudioHandle,
    machine: str,
    cancellation: Cancellation,
    *,
    timeout: float | None = None,
    stop: bool = True,
) -> None:
    """Start a studio on a machine, and check what it runs on.

    Args:
        handle: the studio.
        machine: the machine's name.
        cancellation: ends the wait for a device.
        timeout: the seconds in which the machine must have started; None: half an hour.
        stop: whether a studio on another machine, which costs as well, is stopped.

    Raises:
        OutOfCapacityError: the machine cannot be had here, or another one came up.
        BootError: the machine failed to start, or did not in time.
        CloudError: the studio cannot be started.
    """
    handle.start(machine, timeout)
    problem = None
    if not handle.runs_on(machine):
        problem = f"it came up on {handle.machine() or 'no machine'}, which its cloud account gave it instead"
    elif has_gpu(machine) and _has_devices(os.environ) and not find_device(handle, cancellation):
        problem = "no GPU was found on its machine"
    if problem is None:
        return
    if stop:
        best_effort(lambda: handle.release(delete=False))
    raise OutOfCapacityError(f"studio {handle.name!r} was started on {machine}, but {problem}")


def _has_devices(environ: Mapping[str, str]) -> bool:
    """Return whether the machines of the cloud that variables name are real: a local cloud has an address, no name."""
    host = urlsplit(environ.get("LIGHTNING_CLOUD_URL") or "https://lightning.ai").hostname or ""
    return host != "localhost" and not host.replace(".", "").isdecimal() and ":" not in host


def find_device(handle: StudioHandle, cancellation: Cancellation, *, pause_seconds: float | None = None) -> bool:
    """Return whether a studio's machine has a GPU of NVIDIA, which may take minutes to answer.

    Raises:
        Cancelled: the run was stopped meanwhile.
        CloudError: no command got through.
    """
    for number in range(_DEVICE_TRIES):
        if number and cancellation.wait(_DEVICE_PAUSE_SECONDS if pause_seconds is None else pause_seconds):
            raise Cancelled
        try:
            _, code = handle.run(_FIND_DEVICE)
        except CloudError:
            # A failed call reveals nothing about the machine.
            if number == _DEVICE_TRIES - 1:
                raise
            continue
        if code == 0:
            return True
    return False
