"""A step has as many attempts as its plan allows, and an interrupted attempt does not count."""

from pathlib import Path

from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.execution.attempts import run_attempts
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.result import StepResult

FAILED = StepResult("failed", 1, "no", cost=0.5)
INTERRUPTED = StepResult("failed", None, "its machine was interrupted", interrupted=True)
GOOD = StepResult("succeeded", 0, cost=0.25)


def attempts(tmp_path: Path, count: int, *results: StepResult, first: int = 1) -> tuple[StepResult, list[int]]:
    seen: list[int] = []

    def run_attempt(_step: StepPlan, attempt: int) -> StepResult:
        seen.append(attempt)
        return results[len(seen) - 1]

    with Journal(tmp_path / "journal.db") as journal:
        result = run_attempts(
            StepPlan("a", ("true",), retry=Retry(count)),
            first,
            run_attempt=run_attempt,
            journal=journal.drive("r", "name", "cloud", 1, ["a"]),
            cancellation=Cancellation(),
        )
        assert len(journal.events("r")) == len(seen) - 1
    return result, seen


def test_a_step_that_fails_once_succeeds_at_its_second_attempt_and_all_attempts_cost(tmp_path: Path) -> None:
    result, seen = attempts(tmp_path, 1, FAILED, GOOD)
    assert (result.state, result.cost, seen) == ("succeeded", 0.75, [1, 2])


def test_no_more_attempts_than_the_plan_allows(tmp_path: Path) -> None:
    result, seen = attempts(tmp_path, 2, FAILED, FAILED, FAILED)
    assert (result.state, seen) == ("failed", [1, 2, 3])


def test_reclaimed_attempts_do_not_count(tmp_path: Path) -> None:
    result, seen = attempts(tmp_path, 0, INTERRUPTED, INTERRUPTED, GOOD)
    assert (result.state, seen) == ("succeeded", [1, 2, 3])


def test_after_a_restart_the_attempts_go_on_where_they_were(tmp_path: Path) -> None:
    result, seen = attempts(tmp_path, 2, FAILED, FAILED, first=2)
    assert (result.state, seen) == ("failed", [2, 3])


def test_a_stop_ends_the_wait_between_attempts(tmp_path: Path) -> None:
    cancellation = Cancellation()

    def run_attempt(_step: StepPlan, _attempt: int) -> StepResult:
        cancellation.request("enough")
        return FAILED

    with Journal(tmp_path / "journal.db") as journal:
        result = run_attempts(
            StepPlan("a", ("true",), retry=Retry(9, 1000.0)),
            1,
            run_attempt=run_attempt,
            journal=journal.drive("r", "name", "cloud", 1, ["a"]),
            cancellation=cancellation,
        )
    assert result.state == "failed"
