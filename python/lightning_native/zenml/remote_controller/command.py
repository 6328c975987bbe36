"""Talks to a controller on Lightning: `python -m lightning_native.zenml.remote_controller.command logs|status|stop RUN`."""

import argparse
import base64
import codecs
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lightning_native.child_process import module_arguments
from lightning_native.confirmation import add_yes_option, confirmed
from lightning_native.engine.operation import POLL_SECONDS, Agent
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import CloudError, LightningNativeError, PlanError, UsageError
from lightning_native.lightning.cloud import StudioHandle
from lightning_native.terminal import Cleaner, clean_output, raw, show_output, shows_colour
from lightning_native.zenml.publish.publication_lock import PROMISE, RENEWAL_SECONDS
from lightning_native.zenml.remote_controller.client import GONE, REACHED, call
from lightning_native.zenml.remote_controller.supervisor_spec import HOME, HandedOver

if TYPE_CHECKING:
    from zenml.stack import StackComponent

# How long a run is waited for that is being stopped, and how often it is looked at.
_END_SECONDS = 300.0
_LOOK_SECONDS = 0.05


def main() -> int:
    """Do what the command line says; 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_native.zenml.remote_controller.command", description=__doc__
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, purpose in (
        ("logs", "print what the controller and the steps print"),
        ("status", "print how the run stands, as JSON"),
        ("stop", "stop the run"),
    ):
        command = verbs.add_parser(verb, help=purpose)
        command.add_argument("run", help="the run's orchestrator run id")
        if verb == "logs":
            command.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
        if verb == "stop":
            add_yes_option(command)
            command.add_argument("--graceful", action="store_true", help="let running steps end")
            command.add_argument("--to-its-end", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with clean_output():
        try:
            return _run(arguments)
        except LightningNativeError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2 if isinstance(error, UsageError) else 1


def _run(arguments: argparse.Namespace) -> int:
    folder = RunFolder.of(arguments.run)
    where = HandedOver.read(folder)
    if where is None:
        raise PlanError(f"run {arguments.run} has no controller on Lightning that was started from this machine")
    if REACHED not in os.environ:
        if arguments.verb == "stop" and not confirmed([f"run {arguments.run}: to stop"], yes=arguments.yes):
            return 1
        # What follows is for a process of its own: the credentials are in its environment only.
        code, _ = call(_component(where), sys.argv[1:], capture=False)
        if code == GONE and arguments.verb == "logs":
            return _print_kept_log(where, arguments.run)
        if code == GONE:
            sys.stderr.write(f"run {arguments.run} has ended: its controller is gone\n")
        return code
    from lightning_native.lightning.session import connect

    studio = connect().find_studio(where.studio)
    if studio is None:
        return GONE
    if arguments.verb == "logs":
        return _print_log(studio, where, follow=arguments.follow)
    if arguments.verb == "status":
        sys.stdout.write(json.dumps(_status(studio, arguments.run)) + "\n")
        return 0
    if arguments.to_its_end:
        return _stop_to_its_end(studio, where, arguments.run)
    request_stop(studio, arguments.run, graceful=arguments.graceful)
    return 0


def _component(where: HandedOver) -> "StackComponent":
    from zenml.client import Client
    from zenml.enums import StackComponentType
    from zenml.stack import StackComponent

    model = Client().get_stack_component(StackComponentType.ORCHESTRATOR, UUID(where.component))
    return StackComponent.from_model(model)


def request_stop(studio: StudioHandle, run_id: str, *, graceful: bool) -> None:
    """Ask the controller in a studio to stop its run."""
    _put(studio, run_id, "stop-gracefully" if graceful else "stop")


def _put(studio: StudioHandle, run_id: str, name: str) -> None:
    with tempfile.NamedTemporaryFile() as empty:
        studio.upload(Path(empty.name), f"{HOME}/runs/{run_id}/{name}")


def _stop_to_its_end(studio: StudioHandle, where: HandedOver, run_id: str) -> int:
    """Stop a run, print how it ended, and delete its controller's studio once told that ZenML knows."""
    _put(studio, run_id, PROMISE)
    request_stop(studio, run_id, graceful=False)
    try:
        # ZenML is told while the log is read.
        _print_line(json.dumps(_end(studio, run_id)))
        _print_line(base64.b64encode(b"".join(_log(studio, where, follow=False))).decode())
    except CloudError:
        from lightning_native.lightning.session import connect

        if connect().find_studio(where.studio) is None:
            return GONE
        raise
    if sys.stdin.readline():
        studio.release(delete=True)
    return 0


def _end(studio: StudioHandle, run_id: str) -> dict[str, Any]:
    """Return how a run ended, renewing the promise until then."""
    promised = time.monotonic()
    deadline = promised + _END_SECONDS
    while (answer := _status(studio, run_id, RENEWAL_SECONDS))["state"] == "running":
        if time.monotonic() > deadline:
            raise CloudError(f"run {run_id} is still being stopped; its controller will end it")
        if time.monotonic() > promised + RENEWAL_SECONDS:
            _put(studio, run_id, PROMISE)
            promised = time.monotonic()
        time.sleep(_LOOK_SECONDS)
    return answer


def _print_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _status(studio: StudioHandle, run_id: str, patience: float = 0.0) -> dict[str, Any]:
    """Return how a run stands, when it has ended or after so many seconds."""
    wait = module_arguments("lightning_native", "runs", "wait", run_id, "--timeout", str(patience), "--json")
    output, _ = studio.run(["sh", "-c", f"LIGHTNING_NATIVE_HOME=$HOME/{HOME} python {shlex.join(wait)}"])
    start = output.find("{")
    if start < 0:
        # Of a dynamic pipeline, or before the run has begun: there is a controller and no journal yet.
        return {"state": "running", "steps": []}
    answer: dict[str, Any] = json.loads(output[start:])
    return answer


def _print_log(studio: StudioHandle, where: HandedOver, *, follow: bool) -> int:
    target = raw(sys.stdout)
    # Both remember what a piece of the log was cut in the middle of.
    cleaner, decoder = Cleaner(colour=shows_colour(target)), codecs.getincrementaldecoder("utf-8")("replace")
    try:
        for data in _log(studio, where, follow=follow):
            target.write(cleaner.feed(decoder.decode(data)))
            target.flush()
    except CloudError:
        # It deletes its studio when it has ended; the rest of its log is where it kept it.
        return GONE
    return 0


def _log(studio: StudioHandle, where: HandedOver, *, follow: bool) -> Iterator[bytes]:
    agent, offset = Agent(studio), 0
    while True:
        wait = str(POLL_SECONDS if follow else 0)
        answer = agent.call("poll", where.operation_id, "--offset", str(offset), "--wait", wait)
        yield base64.b64decode(answer["data"])
        offset = answer["offset"]
        if not answer.get("more") and not (follow and answer["state"] == "running"):
            return


def _print_kept_log(where: HandedOver, run_id: str) -> int:
    from lightning_native.zenml.remote_controller.log import kept_log

    text = kept_log(run_id)
    if text is None:
        sys.stderr.write(f"the controller in studio {where.studio} is gone and left no log\n")
        return 1
    show_output(sys.stdout, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
