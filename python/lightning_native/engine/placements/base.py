"""The parts that every placement has, and the methods that the engine calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.result import StepResult
from lightning_native.errors import OutOfCapacityError, RefusedError, StaleControllerError


class Placement(Protocol):
    """The way in which the steps of one run are carried out."""

    def prepare(self) -> None:
        """Start preparing the needs of the steps, without waiting."""

    def run_attempt(self, step: StepPlan, attempt: int) -> StepResult:
        """Run one attempt at a step to its end. Never raises: any error becomes the step's result."""

    def step_ended(self, step: str) -> None:
        """Receive the final end of a step: no further attempt at it follows. Must not block."""

    def stop_running(self) -> None:
        """Ask every running step to end, without waiting for it."""

    def abandon(self, step: str, reason: str) -> None:
        """End the running attempt at a step, without waiting for it; the attempt has failed for `reason`."""

    def close(self) -> None:
        """Release everything at once, also while it is in use."""


Results = dict[str, StepResult]
Settle = Callable[[str, StepResult], None]
Execute = Callable[[Placement], Results]


@dataclass(frozen=True)
class Address:
    """The resource of Lightning in which a step runs: its kind, and its name."""

    kind: Literal["studio", "job", "pipeline"]
    name: str


@dataclass(frozen=True)
class PlacementKind:
    """The functions that carry a placement out; `lightning_native.placement` has its capabilities.

    Attributes:
        address: returns the address of a step of a plan; that of a job is the one of its first attempt.
        run: runs every step of a run that is not done, and returns the result of each. It gets the context, the
            function that records a step's end, the steps that are done, and the executor, which runs the plan's steps
            one by one in a `Placement`.
    """

    address: Callable[[RunPlan, str], Address]
    run: Callable[[RunContext, Settle, Mapping[str, StepResult], Execute], Results]


def run_safely(
    context: RunContext, step: StepPlan, attempt: int, run: Callable[[StepPlan, int], StepResult]
) -> StepResult:
    """Run one attempt; an error becomes the step's result, and a line in its log.

    Raises:
        StaleControllerError: another controller has taken the run over.
    """
    try:
        result = run(step, attempt)
        reason = context.abandoned.pop(step.name, None)
        if reason is None or result.state == "succeeded" or context.cancellation.requested:
            return result
        context.note(step.name, attempt, reason)
        return replace(result, state="failed", message=reason)
    except StaleControllerError:
        # Only the new controller may record anything about this run.
        raise
    except Exception as error:
        if isinstance(error, Cancelled) or context.cancellation.requested:
            return StepResult("stopped", None, context.cancellation.reason)
        message = str(error) or type(error).__name__
        context.note(step.name, attempt, message)
        # Lightning would refuse another attempt, too, but a machine may become free.
        is_final = isinstance(error, RefusedError) and type(error) is not OutOfCapacityError
        return StepResult("failed", None, message, is_final=is_final)
