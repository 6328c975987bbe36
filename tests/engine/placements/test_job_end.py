"""Each end of a job that its agent has not reported is told in Lightning's words, and repeated only if that helps."""

import pytest

from lightning_native.engine.placements.job_end import verdict_of
from lightning_native.lightning.cloud import JobEnd, JobState

FUNDS = "USER_STOP_WORKLOAD_REASON_OUT_OF_FUNDS"


@pytest.mark.parametrize(
    ("state", "end", "interruptible", "words", "step_state", "interrupted", "final"),
    [
        ("stopped", JobEnd(FUNDS, interrupted=False), True, f"funds (Lightning: {FUNDS})", "failed", False, True),
        ("failed", JobEnd("insufficient balance"), False, "out of funds", "failed", False, True),
        ("stopped", JobEnd(interrupted=True), True, "its machine was interrupted", "failed", True, False),
        ("failed", JobEnd("spot reclaimed", interrupted=False), True, "was interrupted", "failed", True, False),
        ("stopped", JobEnd(), True, "its machine was interrupted", "failed", True, False),
        ("failed", JobEnd(interrupted=True), False, "its machine was interrupted", "failed", False, False),
        ("stopped", JobEnd(interrupted=False), True, "was stopped at Lightning", "stopped", False, False),
        ("stopped", JobEnd("by a colleague"), False, "(Lightning: by a colleague)", "stopped", False, False),
        ("failed", JobEnd("not in your plan"), False, "plan does not allow its job", "failed", False, True),
        ("failed", JobEnd(has_begun=False), False, "ended before it began", "failed", False, False),
        ("failed", JobEnd("lost", interrupted=False), True, "a result (Lightning: lost)", "failed", False, False),
    ],
)  # fmt: skip
def test_an_end_has_its_own_words(
    state: JobState, end: JobEnd, interruptible: bool, words: str, step_state: str, interrupted: bool, final: bool
) -> None:
    verdict = verdict_of(state, end, interruptible=interruptible)
    assert words in verdict.message
    assert (verdict.state, verdict.interrupted, verdict.is_final) == (step_state, interrupted, final)
