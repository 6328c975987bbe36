"""The process with the credentials in which a controller on Lightning is asked: `python -m ….command status|stop RUN`.

`client.py` starts it, because the SDK reads credentials from its process's environment.
"""

import argparse
import base64
import json
import sys
import time
from typing import Any

from lightning_native.engine.process.remote_controller import RemoteController
from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CloudError, ControllerGoneError, LightningNativeError, PlanError
from lightning_native.lightning.session import connect
from lightning_native.zenml.publish.publication_lock import PROMISE, RENEWAL_SECONDS
from lightning_native.zenml.remote_controller.client import GONE

# The longest that a run may take to stop.
_END_SECONDS = 300.0
_POLL_SECONDS = 0.05


def main() -> int:
    """Do what the command line says; 0 done, 1 failed, `GONE` where the controller is not there any more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("status", "stop"))
    parser.add_argument("run", help="the run's orchestrator run id")
    parser.add_argument("--graceful", action="store_true", help="let running steps end")
    parser.add_argument("--to-its-end", action="store_true", help="print the end and the log, then delete the studio")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except ControllerGoneError:
        return GONE
    except LightningNativeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    location = ControllerLocation.read(RunFolder.of(arguments.run))
    if location is None:
        raise PlanError(f"run {arguments.run} has no controller on Lightning that was started from this machine")
    controller = RemoteController(connect(), location, arguments.run)
    if arguments.verb == "status":
        _print_line(json.dumps(controller.status()))
    elif arguments.to_its_end:
        _stop_to_its_end(controller)
    else:
        controller.request_stop(graceful=arguments.graceful)
    return 0


def _stop_to_its_end(controller: RemoteController) -> None:
    """Stop a run, print its end and its log, and delete the controller's studio once told that ZenML has the end."""
    controller.put(PROMISE)
    controller.request_stop(graceful=False)
    # The caller publishes the end while the log is read.
    _print_line(json.dumps(_end(controller)))
    _print_line(base64.b64encode(b"".join(controller.log(follow=False))).decode())
    if sys.stdin.readline():
        controller.studio().release(delete=True)


def _end(controller: RemoteController) -> dict[str, Any]:
    """Return how a run ended, renewing the promise until then."""
    promised = time.monotonic()
    deadline = promised + _END_SECONDS
    while (answer := controller.status(RENEWAL_SECONDS))["state"] == "running":
        if time.monotonic() > deadline:
            raise CloudError(f"run {controller.run_id} is still being stopped; its controller will end it")
        if time.monotonic() > promised + RENEWAL_SECONDS:
            controller.put(PROMISE)
            promised = time.monotonic()
        time.sleep(_POLL_SECONDS)
    return answer


def _print_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
