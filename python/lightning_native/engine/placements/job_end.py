"""The meaning of a job's end for its step: the words of Lightning, and whether another attempt can help."""

import re
from typing import NamedTuple

from lightning_native.engine.reasons import COMMAND_ENDED
from lightning_native.engine.record.records import StepState
from lightning_native.engine.result import StepResult
from lightning_native.lightning.cloud import JobEnd, JobState

_FUNDS = re.compile(r"out.?of.?(funds|credits)|insufficient.?(balance|funds|credits)", re.IGNORECASE)
_PLAN = re.compile(r"\b(plan|tier)\b|upgrade", re.IGNORECASE)
_INTERRUPTED = re.compile(r"interrupt|preempt|spot|reclaim", re.IGNORECASE)


class Verdict(NamedTuple):
    """The end of an attempt that left no result.

    `state` is that of the step. `interrupted`: another attempt follows that does not count as a retry. `is_final`: no
    other attempt can help.
    """

    message: str
    state: StepState = "failed"
    interrupted: bool = False
    is_final: bool = False

    def result(self, exit_code: int | None, cost: float | None) -> StepResult:
        """Return the result of the step."""
        return StepResult(
            self.state, exit_code, self.message, cost, interrupted=self.interrupted, is_final=self.is_final
        )


def is_about_funds(message: str) -> bool:
    """Return whether a reason is that the account has no money; the words of a command may be about anything."""
    return not message.startswith(COMMAND_ENDED) and bool(_FUNDS.search(message))


def verdict_of(state: JobState, end: JobEnd, *, interruptible: bool, what: str = "job") -> Verdict:
    """Return the meaning of a job's or studio's end that its agent has not reported, and that this run did not ask for.

    Args:
        state: the job's final state, or `running` while its machine is being interrupted.
        end: the words of Lightning.
        interruptible: whether the step asked for an interruptible machine.
        what: `job` or `studio`.
    """
    words = f" (Lightning: {end.message})" if end.message else ""
    if _FUNDS.search(end.message):
        hint = "top it up, then: lightning-native runs resume"
        return Verdict(f"the account is out of funds{words}; {hint}", is_final=True)
    # Where Lightning does not tell, a stop that nobody here asked for is an interruption of such a machine.
    untold = end.interrupted is None and interruptible and state in ("stopped", "failed")
    if end.interrupted or untold or (interruptible and _INTERRUPTED.search(end.message)):
        return Verdict(f"its machine was interrupted{words}", interrupted=interruptible)
    if _PLAN.search(end.message):
        return Verdict(f"the account's plan does not allow its {what}{words}", is_final=True)
    if state == "stopped":
        return Verdict(f"its {what} was stopped at Lightning, and not by this run{words}", state="stopped")
    if end.has_begun is False:
        return Verdict(f"its {what} ended before it began{words}")
    return Verdict(f"its {what} ended without a result{words}")
