"""The attempts at a step: a further one follows a failure that may be retried, or an interrupted machine."""

from collections.abc import Callable
from dataclasses import replace

from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.plan import MAX_INTERRUPTIONS, StepPlan
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.result import StepResult

_SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0


def _pause_after(interruptions: int) -> float:
    """Return the seconds to wait after so many interruptions: machines that go soon after each other are scarce."""
    return 0.0 if interruptions == 1 else min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** (interruptions - 2))


def run_attempts(
    step: StepPlan,
    first_attempt: int,
    *,
    run_attempt: Callable[[StepPlan, int], StepResult],
    journal: RunJournal,
    cancellation: Cancellation,
    cost: float | None = None,
) -> StepResult:
    """Run a step until it succeeds, is stopped, or may not be tried again, and return its last result.

    Its cost and its seconds are those of all attempts.

    Args:
        step: the step.
        first_attempt: the number of the first attempt: 1, or that of a dead controller's last attempt.
        run_attempt: runs one attempt to its end; never raises.
        journal: records new attempts.
        cancellation: ends the wait between attempts.
        cost: the dollars of earlier attempts.
    """
    attempt, failures, interruptions = first_attempt, first_attempt - 1, 0
    seconds: float | None = None
    while True:
        result = run_attempt(step, attempt)
        if result.cost is not None:
            cost = (cost or 0.0) + result.cost
        if result.seconds is not None:
            seconds = (seconds or 0.0) + result.seconds
        failures += not result.interrupted
        interruptions += result.interrupted
        again = interruptions <= MAX_INTERRUPTIONS if result.interrupted else failures <= step.retry.count
        if result.state != "failed" or not again or result.is_final or cancellation.starts_nothing:
            return replace(result, cost=cost, seconds=seconds, interrupted=False)
        delay = _pause_after(interruptions) if result.interrupted else step.retry.pause(failures)
        journal.event(f"attempt {attempt} failed ({result.message}); trying again in {delay:g} s", step.name)
        if cancellation.wait(delay):
            return replace(result, state="stopped", message=cancellation.reason, cost=cost, seconds=seconds)
        attempt += 1
