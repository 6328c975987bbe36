"""Questions to a controller on Lightning, asked by a process of their own that has the credentials."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from lightning_native.engine.process.credentialed import start
from lightning_native.engine.record.records import RunState
from lightning_native.engine.result import StepResult
from lightning_native.errors import CloudError

if TYPE_CHECKING:
    from zenml.stack import StackComponent

# The exit code where the controller is not there any more.
GONE = 3


def call(component: "StackComponent", arguments: list[str]) -> tuple[int, str]:
    """Run the command, and return its exit code and its output.

    Raises:
        CloudError: the controller cannot be reached.
    """
    with _started(component, arguments) as process:
        output, errors = process.communicate()
    _check(process, errors)
    return process.returncode, output or ""


@contextmanager
def _started(component: "StackComponent", arguments: list[str]) -> "Iterator[subprocess.Popen[str]]":
    """Start the command in a process that has the credentials in its environment."""
    from lightning_native.zenml.access import cloud_variables
    from lightning_native.zenml.config import LightningNativeOrchestratorSettings

    settings = LightningNativeOrchestratorSettings.model_validate(component.config.model_dump(exclude_unset=True))
    with (
        cloud_variables(component, settings) as environ,
        start(
            "lightning_native.zenml.remote_controller.command",
            *arguments,
            environ=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield process


def _check(process: "subprocess.Popen[str]", errors: str | None) -> None:
    if errors is not None and process.returncode not in (0, GONE):
        raise CloudError(f"the controller cannot be asked: {errors.strip()[-500:]}")


def stop(component: "StackComponent", run_id: str, *, graceful: bool) -> None:
    """Ask a controller on Lightning to stop its run; one that is gone has ended it.

    Raises:
        CloudError: it cannot be reached.
    """
    call(component, ["stop", run_id, *(["--graceful"] if graceful else [])])


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
    with _started(component, ["stop", run_id, "--to-its-end"]) as process:
        yield Ending(cast("TextIO", process.stdout))
        _, errors = process.communicate("done\n")
    _check(process, errors)


def status(component: "StackComponent", run_id: str) -> dict[str, Any] | None:
    """Return how a run stands as its controller's journal tells, None if the controller is gone.

    Raises:
        CloudError: it cannot be reached.
    """
    code, output = call(component, ["status", run_id])
    answer: dict[str, Any] | None = json.loads(output) if code == 0 else None
    return answer
