"""Talks to a controller on Lightning: `python -m lightning_native.zenml.remote logs|status|stop RUN`."""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast
from uuid import UUID

from lightning_native.engine.executor import StepResult
from lightning_native.engine.journal import RunState
from lightning_native.engine.operation import POLL_SECONDS, Agent
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import controller_environment
from lightning_native.errors import CloudError, LightningNativeError, PlanError
from lightning_native.lightning.cloud import StudioHandle
from lightning_native.zenml.end_publication import PROMISE, RENEWAL_SECONDS
from lightning_native.zenml.handed_over import HOME, HandedOver

if TYPE_CHECKING:
    from zenml.stack import StackComponent

_REACHED = "LIGHTNING_NATIVE_REACHED"
_GONE = 3
# How long a run is waited for that is being stopped, and how often it is looked at.
_END_SECONDS = 300.0
_LOOK_SECONDS = 0.05


def main() -> int:
    """Do what the command line says; 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m lightning_native.zenml.remote", description=__doc__)
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
            command.add_argument("--graceful", action="store_true", help="let running steps end")
            command.add_argument("--to-its-end", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except LightningNativeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    folder = RunFolder.of(arguments.run)
    where = HandedOver.read(folder)
    if where is None:
        raise PlanError(f"run {arguments.run} has no controller on Lightning that was started from this machine")
    if _REACHED not in os.environ:
        # What follows is for a process of its own: the credentials are in its environment only.
        code, _ = _call(_component(where), sys.argv[1:], capture=False)
        if code == _GONE and arguments.verb == "logs":
            return _print_kept_log(where, arguments.run)
        if code == _GONE:
            sys.stderr.write(f"run {arguments.run} has ended: its controller is gone\n")
        return code
    from lightning_native.lightning.session import connect

    studio = connect().find_studio(where.studio)
    if studio is None:
        return _GONE
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


def _call(component: "StackComponent", arguments: list[str], *, capture: bool) -> tuple[int, str]:
    with _started(component, arguments, capture=capture) as process:
        output, errors = process.communicate()
    _check(process, errors)
    return process.returncode, output or ""


@contextmanager
def _started(component: "StackComponent", arguments: list[str], *, capture: bool) -> "Iterator[subprocess.Popen[str]]":
    """Start this module in a process that has the credentials in its environment."""
    from lightning_native.zenml.component import reached
    from lightning_native.zenml.config import LightningNativeOrchestratorSettings

    settings = LightningNativeOrchestratorSettings.model_validate(component.config.model_dump(exclude_unset=True))
    pipe = subprocess.PIPE if capture else None
    with (
        reached(component, settings) as environ,
        subprocess.Popen(
            [sys.executable, "-m", "lightning_native.zenml.remote", *arguments],
            env={**controller_environment(environ), _REACHED: "1"},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        ) as process,
    ):
        yield process


def _check(process: "subprocess.Popen[str]", errors: str | None) -> None:
    if errors is not None and process.returncode not in (0, _GONE):
        raise CloudError(f"the controller cannot be asked: {errors.strip()[-500:]}")


def stop(component: "StackComponent", run_id: str, *, graceful: bool) -> None:
    """Ask a controller on Lightning to stop its run; one that is gone has ended it.

    Raises:
        CloudError: it cannot be reached.
    """
    _call(component, ["stop", run_id, *(["--graceful"] if graceful else [])], capture=True)


@dataclass(frozen=True)
class Ended:
    """How a run has ended."""

    state: RunState
    message: str
    steps: dict[str, StepResult]


class Ending:
    """A run that is being stopped, as the process tells that talks to its controller."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def wait(self) -> Ended | None:
        """Wait for the end; None: the controller is gone, and has told ZenML and kept its log."""
        line = self._output.readline()
        if not line:
            return None
        answer = json.loads(line)
        steps = {
            step["name"]: StepResult(step["state"], step["exit_code"], step["message"]) for step in answer["steps"]
        }
        return Ended(answer["state"], answer["message"], steps)

    def log(self) -> bytes | None:
        """Wait, after the end, for what the controller printed; None if that cannot be read any more."""
        line = self._output.readline()
        return base64.b64decode(line) if line else None


@contextmanager
def ending(component: "StackComponent", run_id: str) -> Iterator[Ending]:
    """Stop a run at once; its controller's studio is deleted after the block.

    The block waits for the end, tells ZenML of it and keeps the log. If it fails, or this process dies, the controller
    does all that.

    Raises:
        CloudError: the controller cannot be reached.
    """
    with _started(component, ["stop", run_id, "--to-its-end"], capture=True) as process:
        yield Ending(cast("TextIO", process.stdout))
        _, errors = process.communicate("done\n")
    _check(process, errors)


def status(component: "StackComponent", run_id: str) -> dict[str, Any] | None:
    """Return how a run stands as its controller's journal tells, None if the controller is gone.

    Raises:
        CloudError: it cannot be reached.
    """
    code, output = _call(component, ["status", run_id], capture=True)
    answer: dict[str, Any] | None = json.loads(output) if code == 0 else None
    return answer


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
            return _GONE
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
    wait = f"python -m lightning_native runs wait {run_id} --timeout {patience} --json"
    output, _ = studio.run(["sh", "-c", f"LIGHTNING_NATIVE_HOME=$HOME/{HOME} {wait}"])
    start = output.find("{")
    if start < 0:
        # Of a dynamic pipeline, or before the run has begun: there is a controller and no journal yet.
        return {"state": "running", "steps": []}
    answer: dict[str, Any] = json.loads(output[start:])
    return answer


def _print_log(studio: StudioHandle, where: HandedOver, *, follow: bool) -> int:
    try:
        for data in _log(studio, where, follow=follow):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
    except CloudError:
        # It deletes its studio when it has ended; the rest of its log is where it kept it.
        return _GONE
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
    from lightning_native.zenml.controller_log import kept_log

    text = kept_log(run_id)
    if text is None:
        sys.stderr.write(f"the controller in studio {where.studio} is gone and left no log\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
