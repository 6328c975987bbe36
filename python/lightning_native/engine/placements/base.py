"""What every placement does, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from lightning_native.engine.executor import Cancellation, StepResult
from lightning_native.engine.journal import RunJournal
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.prepared import Cancelled
from lightning_native.engine.resource_names import operation_id
from lightning_native.engine.run_folder import RunFolder, StepLog
from lightning_native.errors import CloudError, OutOfCapacityError, StaleControllerError
from lightning_native.lightning.cloud import Cloud

T = TypeVar("T")
# Seconds between tries.
_DELAYS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class RunContext:
    """One run, as its placement needs it."""

    plan: RunPlan
    cloud: Cloud
    cloud_name: str
    journal: RunJournal
    folder: RunFolder
    environments: Mapping[str, Mapping[str, str]]
    cancellation: Cancellation
    given_up: dict[str, str] = field(default_factory=dict)
    """Steps whose running attempt is not waited for any longer, and why."""

    def operation_id(self, name: str, attempt: int) -> str:
        """Return the id under which an attempt is known to the agent, the same after a restart of the controller."""
        return operation_id(self.plan.run_id, name, attempt)

    def note(self, step: str, attempt: int, message: str) -> None:
        """Add a line of our own to a step's log."""
        StepLog(self.folder.log(step, attempt)).append(f"lightning-native: {message}\n".encode())


class Placement(Protocol):
    """A way for the steps of one run to run."""

    def prepare(self) -> None:
        """Start preparing what steps will need, without waiting for it."""

    def run_attempt(self, step: StepPlan, attempt: int) -> StepResult:
        """Run one attempt at a step to its end. Never raises: whatever goes wrong is the step's result."""

    def step_ended(self, step: str) -> None:
        """Note that a step has ended for good: nothing more will be asked for it. Must not block."""

    def stop_running(self) -> None:
        """Ask every running step to end, without waiting for it."""

    def give_up(self, step: str, reason: str) -> None:
        """End the running attempt at a step, which has failed then, without waiting for it."""

    def close(self) -> None:
        """Give everything up at once, whatever it is doing."""


def run_safely(
    context: RunContext, step: StepPlan, attempt: int, run: Callable[[StepPlan, int], StepResult]
) -> StepResult:
    """Run one attempt; whatever it raises becomes the step's result, and a line in its log.

    Raises:
        StaleControllerError: another controller has taken the run over.
    """
    try:
        result = run(step, attempt)
        reason = context.given_up.pop(step.name, None)
        if reason is None or result.state == "succeeded" or context.cancellation.requested:
            return result
        context.note(step.name, attempt, reason)
        return replace(result, state="failed", message=reason)
    except StaleControllerError:
        # Nothing about this run is ours to say any more.
        raise
    except Exception as error:
        if isinstance(error, Cancelled) or context.cancellation.requested:
            return StepResult("stopped", None, context.cancellation.reason)
        message = str(error) or type(error).__name__
        context.note(step.name, attempt, message)
        return StepResult("failed", None, message)


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
