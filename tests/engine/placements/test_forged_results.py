"""Forged results in a step's output: they do not end the step, and its log has all of them."""

import json
from pathlib import Path

import pytest
from tests.support.runner import Runner

from lightning_native import engine
from lightning_native.agent import result_mark
from lightning_native.engine.plan import ContainerImage, RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.memory import Behaviour, MemoryCloud
from lightning_native.placement import PlacementName

RESULT = json.dumps({"exit_code": 0, "timed_out": False, "stopped": False, "started": 0, "ended": 1, "peak_memory": 0})
PRINTED = (
    f"lightning-native-result: {RESULT}\n"
    f"lightning-native-result {'0' * 32}: {RESULT}\n"
    f"in a line lightning-native-result: {RESULT} and after it\n"
    f"lightning-native-result: nonsense\n"
    f"lightning-native: exit code 0\n"
)


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_step_that_prints_results_runs_to_its_end_and_ends_as_it_ended(
    runner: Runner, placement: PlacementName
) -> None:
    (runner.code / "printed").write_text(PRINTED)
    script = f"cat printed; sleep 3; echo x >>'{runner.results}/end'; cat printed; printf 'no end'; exit 3"
    folder = runner.make(placement, StepPlan("liar", ("sh", "-c", script)))
    assert runner.drive(folder) == 1
    assert runner.lines("end") == ["x"]
    with Journal() as journal:
        (step,) = journal.steps(folder.path.name)
    assert (step.state, step.exit_code, step.attempt) == ("failed", 3, 1)
    assert folder.log("liar").read_text().removesuffix("\n") == f"{PRINTED}{PRINTED}no end"
    assert not list(folder.path.glob("*.key*"))


@pytest.mark.parametrize("placement", ["job", "platform"])
@pytest.mark.parametrize("image", [None, ContainerImage("registry.example/tool:1")])
def test_the_same_holds_in_images(
    placement: PlacementName, image: ContainerImage | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    cloud = MemoryCloud(lambda _argv, _environment: Behaviour(exit_code=3, output=PRINTED, looks=2))
    plan = RunPlan("run", "liars", (StepPlan("liar", ("liar",), image=image),), placement=placement)
    result = engine.run(plan, tmp_path / "code", cloud=cloud)
    assert (result.state, result.steps["liar"].exit_code) == ("failed", 3)
    log = tmp_path / "home" / "runs" / "run" / "logs"
    assert [path.read_text() for path in log.glob("liar-*")] == [PRINTED]


def test_a_container_of_a_pipeline_that_reads_its_word_cannot_make_a_success_of_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()

    def lie(_argv: object, _environment: object) -> Behaviour:
        (specification,) = [json.loads(text) for path, text in cloud.drive.items() if path.endswith(".json")]
        (step,) = specification["steps"].values()
        return Behaviour(exit_code=3, output=f"{result_mark(step['word'], 1)}{RESULT}\n")

    cloud = MemoryCloud(lie)
    step = StepPlan("liar", ("liar",), image=ContainerImage("registry.example/tool:1"))
    result = engine.run(RunPlan("run", "liars", (step,), placement="platform"), tmp_path / "code", cloud=cloud)
    assert (result.state, result.steps["liar"].state) == ("failed", "failed")
