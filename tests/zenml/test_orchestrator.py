"""Real ZenML pipelines on the real SDK against the local cloud."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.support.search import files_below
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(4)

HEADER = """
from typing import Annotated
from pathlib import Path
import os, sys, time
from zenml import pipeline, step
"""


def test_a_pipeline_with_a_shell_command_for_a_name_runs_and_nothing_of_it_is_executed(workbench: Workbench) -> None:
    workbench.write("my step.py", "x = 1\n")
    workbench.write("café.py", "x = 2\n")
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def look() -> str:
    return "|".join(sorted(path.name for path in Path.cwd().iterdir()))

@pipeline(name="x; touch F #")
def awkward() -> None:
    look()

if __name__ == "__main__":
    print("FILES", awkward().steps["look"].output.load())
"""
    )
    assert code == 0, output
    files = output.split("FILES ")[1].splitlines()[0].split("|")
    assert {"my step.py", "café.py", "pipeline.py"} <= set(files)
    assert "F" not in files
    left = files_below(Path(workbench.environment["LIGHTNING_NATIVE_HOME"]))
    assert [path for path in left if path.name == "F"] == []
    assert not (workbench.folder / "F").exists()
    assert workbench.statuses() == {"run": "completed", "look": "completed"}
    workbench.assert_nothing_left()


def test_a_failing_step_stops_its_downstream_steps_only_and_is_shown_failed(workbench: Workbench) -> None:
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def good() -> int:
    return 1

@step(enable_cache=False)
def bad() -> int:
    raise ValueError("this one fails on purpose")

@step(enable_cache=False)
def after(x: int) -> int:
    print("MUST NOT RUN" if x is None else f"after {x}")
    return x

@pipeline
def partly() -> None:
    after(bad(), id="after_bad")
    after(good(), id="after_good")

if __name__ == "__main__":
    partly()
"""
    )
    assert code != 0
    assert "this one fails on purpose" in output
    assert "[after_good] " in output
    # The user's exception comes last, with its own traceback and without ZenML's.
    assert output.rstrip().endswith("ValueError: this one fails on purpose")
    assert 'pipeline.py", line' in output.rpartition("Traceback (most recent call last):")[2]
    assert "site-packages/zenml" not in output
    assert workbench.statuses() == {
        "run": "failed",
        "bad": "failed",
        "good": "completed",
        "after_good": "completed",
    }
    reasons = workbench.reasons()
    assert reasons["bad"] == "this one fails on purpose"
    assert reasons["run"] == ("step bad: its command ended with exit code 1: ValueError: this one fails on purpose")
    metadata = reasons["metadata"]["run"]
    assert Path(metadata["report"]).read_text().startswith("<!doctype html>")
    assert metadata["cost_dollars"] >= sum(metadata["step_costs"].values()) - 1e-5
    assert metadata["cost_dollars"] == pytest.approx(sum(metadata["cost_parts"].values()), abs=1e-5)
    assert set(metadata["step_seconds"]) == {"bad", "good", "after_good"}
    workbench.assert_nothing_left()


def test_a_step_that_dies_before_it_registers_is_shown_failed(workbench: Workbench) -> None:
    code, output = workbench.run(
        HEADER
        + """
if "LIGHTNING_NATIVE_RUN_ID" in os.environ:
    os._exit(7)

@step(enable_cache=False)
def doomed() -> int:
    return 1

@pipeline
def dies() -> None:
    doomed()

if __name__ == "__main__":
    dies()
"""
    )
    assert code != 0
    assert "exit code 7" in output
    assert workbench.statuses() == {"run": "failed", "doomed": "failed"}
    reasons = workbench.reasons()
    assert reasons["doomed"].startswith("its command ended with exit code 7")
    assert reasons["run"] == f"step doomed: {reasons['doomed']}"
    workbench.assert_nothing_left()


def test_a_run_at_its_time_limit_has_failed_and_was_not_stopped(workbench: Workbench) -> None:
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def endless() -> int:
    time.sleep(600)
    return 1

@pipeline(settings={"orchestrator": {"run_timeout": 15}})
def late() -> None:
    endless()

if __name__ == "__main__":
    late()
"""
    )
    assert code != 0
    reason = "timed out after 15 s (run_timeout)"
    assert output.rpartition("error: ")[2].startswith(reason)
    assert workbench.statuses()["run"] == "failed"
    reasons = workbench.reasons()
    assert reasons["run"] == reason
    # On a busy machine the time is up before the step has begun.
    assert reasons.get("endless", reason) == reason
    workbench.assert_nothing_left()


def test_steps_run_at_the_same_time_each_on_the_machine_it_asks_for(workbench: Workbench) -> None:
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def meet(name: str, folder: str) -> int:
    # Ends only when all three are there at the same time.
    (Path(folder) / name).touch()
    deadline = time.monotonic() + 400
    while len(list(Path(folder).iterdir())) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return 1

@pipeline
def together(folder: str) -> None:
    meet("a", folder, id="a")
    meet("b", folder, id="b")
    meet.with_options(settings={"orchestrator": {"machine_type": "L4"}})("c", folder, id="c")

if __name__ == "__main__":
    meeting = Path(__file__).parent / "meeting"
    meeting.mkdir()
    together(str(meeting))
"""
    )
    assert code == 0, output
    with Journal(workbench.journal) as journal:
        steps = {step.name: step for step in journal.steps(journal.runs(1)[0].run_id)}
    assert steps["a"].place == steps["b"].place != steps["c"].place
    assert steps["c"].machine == "L4"
    workbench.assert_nothing_left()


ENDLESS = (
    HEADER
    + """
@step(enable_cache=False)
def endless() -> None:
    print("STEP IS UP", flush=True)
    time.sleep(600)

@step(enable_cache=False)
def after() -> None:
    pass

@pipeline
def long() -> None:
    endless()
    after(after=["endless"])

if __name__ == "__main__":
    long()
"""
)


@pytest.mark.parametrize("moment", ["is driven by process", "STEP IS UP"])
def test_ctrl_c_stops_the_run_and_leaves_nothing(workbench: Workbench, moment: str) -> None:
    process = workbench.start(ENDLESS)
    before = workbench.wait_for(process, moment)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "was stopped by Ctrl-C" in output, before + output
    statuses = workbench.statuses()
    assert statuses["run"] == "stopped"
    assert "after" not in statuses
    workbench.assert_nothing_left()


def test_what_a_killed_controller_leaves_over_is_shown_and_released_by_gc(workbench: Workbench) -> None:
    process = workbench.start(ENDLESS)
    workbench.wait_for(process, "STEP IS UP")
    with Journal(workbench.journal) as journal:
        record = journal.runs(1)[0]
    assert record.controller is not None
    os.kill(record.controller, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    assert "died" in output
    assert "NOT RELEASED" in workbench.command("runs", "show", record.run_id)
    assert "1 released" in workbench.command("gc", "--local", "--yes")
    workbench.assert_nothing_left()


def test_a_machine_that_does_not_exist_is_named_with_the_nearest_ones_before_anything_is_created(
    workbench: Workbench,
) -> None:
    started = time.time()
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False, settings={"orchestrator": {"machine_type": "A10G"}})
def on_gpu() -> None:
    pass

@pipeline
def wrong() -> None:
    on_gpu()

if __name__ == "__main__":
    wrong()
"""
    )
    assert code != 0
    assert "unknown machine 'A10G'; did you mean A100" in output
    with Journal(workbench.journal) as journal:
        assert [run for run in journal.runs() if run.started > started] == []
    workbench.assert_nothing_left()


def test_missing_credentials_are_named_with_where_to_set_them(workbench: Workbench) -> None:
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def nothing() -> None:
    pass

@pipeline(settings={"orchestrator": {"cloud": "lightning"}})
def remote() -> None:
    nothing()

if __name__ == "__main__":
    remote()
""",
        HOME=str(workbench.folder),
    )
    assert code != 0
    for name in ("LIGHTNING_API_KEY", "LIGHTNING_USER_ID", "LIGHTNING_TEAMSPACE", "zenml orchestrator update"):
        assert name in output
    workbench.assert_nothing_left()


def test_a_step_gets_its_requirements_and_its_environment(workbench: Workbench) -> None:
    wheel = workbench.folder / "wheels" / "smallest_possible-1.0-py3-none-any.whl"
    _write_wheel(wheel)
    code, output = workbench.run(
        HEADER
        + f"""
from zenml.config import DockerSettings

docker = DockerSettings(requirements=["smallest-possible @ {wheel.as_uri()}"])

@step(enable_cache=False, settings={{"docker": docker}}, environment={{"COLOUR": "it's \\"blue\\" $HOME"}})
def use() -> str:
    import gc
    import smallest_possible
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000, "what ZenML made is looked through"
    return smallest_possible.ANSWER + os.environ["COLOUR"]

@pipeline
def installs() -> None:
    use()

if __name__ == "__main__":
    print("RESULT", installs().steps["use"].output.load())
"""
    )
    assert code == 0, output
    assert """RESULT 42it's "blue" $HOME""" in output
    workbench.assert_nothing_left()


def test_stopping_through_zenml_ends_the_run(workbench: Workbench) -> None:
    process = workbench.start(ENDLESS)
    workbench.wait_for(process, "STEP IS UP")
    workbench.python(
        """
        from zenml.client import Client
        from zenml.utils.run_utils import stop_run
        stop_run(Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0])
        """
    )
    output, _ = process.communicate(timeout=240)
    assert "was stopped on request" in output
    assert workbench.statuses() == {"run": "stopped", "endless": "stopped"}
    workbench.assert_nothing_left()


def _write_wheel(path: Path) -> None:
    import zipfile

    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("smallest_possible.py", "ANSWER = '42'\n")
        info = "smallest_possible-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: smallest-possible\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(
            f"{info}/RECORD", f"smallest_possible.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
