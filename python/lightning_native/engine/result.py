"""The result of a step, and of the command that it ran."""

from dataclasses import dataclass

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.reasons import reason_of, timed_out
from lightning_native.engine.record.records import StepState

OVER_BUDGET = "it has used the part of the run's budget that was left for it"


@dataclass(frozen=True)
class StepResult:
    """The end of a step.

    Attributes:
        state: a terminal state.
        exit_code: the exit code of its command; negative for the signal that ended it; None if it never ran.
        message: the reason why it did not succeed.
        cost: dollars; None if unknown.
        seconds: the duration of its command, by its own machine's clock; None if it never ran.
        interrupted: whether the machine was interrupted, so that another attempt does not count as a retry.
        is_final: whether no other attempt can help, such as without funds.
    """

    state: StepState
    exit_code: int | None = None
    message: str = ""
    cost: float | None = None
    seconds: float | None = None
    interrupted: bool = False
    is_final: bool = False


def result_of(step: StepPlan, outcome: Outcome, cost: float | None = None, *, output: str = "") -> StepResult:
    """Return the result of a step from the outcome of its command, its cost in dollars and the end of its output."""
    state: StepState = "failed"
    message = ""
    if outcome.over_budget:
        return StepResult("failed", outcome.exit_code, OVER_BUDGET, cost, outcome.seconds, is_final=True)
    if outcome.stopped:
        state, message = "stopped", "the step was stopped"
    elif outcome.timed_out:
        message = timed_out(step.timeout or outcome.seconds, "step_timeout")
    elif outcome.exit_code != 0:
        message = reason_of(outcome, output)
    else:
        state = "succeeded"
    return StepResult(state, outcome.exit_code, message, cost, outcome.seconds)
