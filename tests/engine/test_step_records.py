"""The records of a front end count: what it has recorded as completed has succeeded, and what it knows does not run."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_native.engine.execution.run_plan import RunResult, run_plan
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.engine.step_records import StepRecords
from lightning_native.lightning.memory import Behaviour, MemoryCloud
from lightning_native.placement import PlacementName


class Records(StepRecords):
    """The records of a front end that has recorded `completed` before their commands died, and knows `cached`."""

    def __init__(self, completed: str = "", cached: str = "") -> None:
        self._completed, self._cached = completed, cached

    def known_end(self, step: str) -> StepResult | None:
        return StepResult("succeeded", message="cached") if step == self._cached else None

    def compared(self, step: str, result: StepResult) -> StepResult:
        return replace(result, state="succeeded", message="") if step == self._completed else result


def run(
    folder: Path, placement: PlacementName, steps: Sequence[StepPlan], records: StepRecords, failing: str = ""
) -> tuple[RunResult, list[str]]:
    """Run a plan in memory; return its result and the commands that ran."""
    executions: list[str] = []

    def command(argv: Sequence[str], _environment: Mapping[str, str]) -> Behaviour:
        executions.append(argv[0])
        return Behaviour(exit_code=139 if argv[0] == failing else 0, looks=1)

    plan = RunPlan(uuid.uuid4().hex, "ends", tuple(steps), placement=placement)
    (folder / "code").mkdir()
    run_folder = RunFolder.of(plan.run_id)
    run_folder.write(plan, folder / "code", {})
    with run_folder.driven(), Journal() as journal:
        result = run_plan(run_folder, cloud=MemoryCloud(command), cloud_name="memory", journal=journal, records=records)
        assert {step.name: step.state for step in journal.steps(plan.run_id)} == {
            name: step.state for name, step in result.steps.items()
        }
    return result, executions


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("placement", sorted(PLACEMENTS))
def test_a_step_whose_command_died_after_its_completion_is_not_repeated_and_the_next_one_runs(
    tmp_path: Path, placement: PlacementName
) -> None:
    # Lightning's pipeline tries again in the job itself, whose command knows by itself that nothing is to be repeated.
    retry = Retry(0 if placement == "platform" else 2)
    steps = (StepPlan("crashes", ("crashes",), retry=retry), StepPlan("after", ("after",), upstream=("crashes",)))
    result, executions = run(tmp_path, placement, steps, Records(completed="crashes"), failing="crashes")
    assert (result.state, result.message) == ("completed", "")
    assert executions == ["crashes", "after"]


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_step_that_is_known_in_mid_run_starts_no_machine(tmp_path: Path, placement: PlacementName) -> None:
    steps = (
        StepPlan("first", ("first",)),
        StepPlan("cached", ("cached",), ("L4",), upstream=("first",)),
        StepPlan("after", ("after",), upstream=("cached",)),
    )
    result, executions = run(tmp_path, placement, steps, Records(cached="cached"))
    assert (result.state, result.steps["cached"].message) == ("completed", "cached")
    assert executions == ["first", "after"]
    with Journal() as journal:
        (record,) = journal.runs(1)
        assert [lease.name for lease in journal.leases(record.run_id) if "cached" in lease.name] == []
