"""From how a command ended to how its step ended."""

from lightning_native.engine.executor import StepResult
from lightning_native.engine.journal import StepState
from lightning_native.engine.operation import Outcome
from lightning_native.engine.plan import StepPlan


def result_of(step: StepPlan, outcome: Outcome, cost: float | None = None) -> StepResult:
    """Return the result of a step whose command ended so, at a cost in dollars."""
    state: StepState = "failed"
    message = ""
    if outcome.stopped:
        state, message = "stopped", "the step was stopped"
    elif outcome.timed_out:
        message = f"it ran longer than its limit of {step.timeout:g} s"
    elif outcome.exit_code != 0:
        message = f"its command ended with exit code {outcome.exit_code}"
    else:
        state = "succeeded"
    return StepResult(state, outcome.exit_code, message, cost, outcome.seconds)
