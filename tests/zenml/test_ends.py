"""The end of a step as its process has it and as ZenML has it: they agree, however the process ends."""

import time
from pathlib import Path

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

HEADER = """
from pathlib import Path
import atexit, os, signal, sys, time
from zenml import pipeline, step
from zenml.config.retry_config import StepRetryConfig

def note(name: str) -> None:
    with (Path(os.environ["FOLDER"]) / name).open("a") as stream:
        stream.write(f"{name}\\n")

def environment() -> dict:
    return {"docker": {"runtime_environment": {"FOLDER": os.environ.get("FOLDER", "")}}}
"""

ENDS = (
    HEADER
    + """
@step(enable_cache=False, retry=StepRetryConfig(max_retries=1))
def crashes() -> int:
    note("crashes")
    # As a native library does whose destructor crashes.
    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
    return 1

@step(enable_cache=False)
def silent() -> int:
    os._exit(0)

@step(enable_cache=False)
def after(x: int) -> None:
    note("after")

@pipeline(settings={
    "orchestrator": {"placement": "PLACEMENT", "reuse_environments": False}, **environment(),
})
def ends() -> None:
    after(crashes(), id="after_crashes")
    after(silent(), id="after_silent")

if __name__ == "__main__":
    ends()
"""
)

REASONS = """
from zenml.client import Client
run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
for name, step in run.steps.items():
    info = Client().get_run_step(step.id).exception_info
    print("REASON", name, "|", (info.traceback if info else "").strip().splitlines()[-1:], "|", step.status.value)
"""


def recorded(workbench: Workbench) -> dict[str, str]:
    """Return the states of the newest run and of its steps, in the journal."""
    with Journal(workbench.journal) as journal:
        run = journal.runs(1)[0]
        return {"run": run.state, **{step.name: step.state for step in journal.steps(run.run_id)}}


@pytest.mark.parametrize("placement", ["studio", "platform"])
def test_a_step_ends_as_zenml_has_recorded_it(workbench: Workbench, placement: str) -> None:
    code, output = workbench.run(ENDS.replace("PLACEMENT", placement), FOLDER=str(workbench.folder))
    assert code != 0
    assert workbench.statuses() == {
        "run": "failed",
        "crashes": "completed",
        "silent": "failed",
        "after_crashes": "completed",
    }, output
    assert recorded(workbench) == {
        "run": "failed",
        "crashes": "succeeded",
        "silent": "failed",
        "after_crashes": "succeeded",
        "after_silent": "skipped",
    }
    assert (workbench.folder / "crashes").read_text() == "crashes\n"
    assert (workbench.folder / "after").read_text() == "after\n"
    assert "the process ended by signal 11 after ZenML had recorded the step as completed" in output
    # The terminal wraps its lines.
    assert "step silent: its process ended with exit code 0 before ZenML had recorded" in " ".join(output.split())
    reasons = workbench.python(REASONS)
    assert "silent | ['its process ended with exit code 0 before ZenML had recorded" in reasons
    workbench.assert_nothing_left()


UNDRIVEN = (
    HEADER
    + """
@step(enable_cache=False)
def first() -> int:
    return 1

@step(enable_cache=False)
def second(x: int) -> None:
    pass

@pipeline(settings={"orchestrator": {"synchronous": SYNCHRONOUS}})
def undriven() -> None:
    second(first())

if __name__ == "__main__":
    undriven()
"""
)


@pytest.mark.parametrize("synchronous", [True, False])
def test_the_steps_of_a_run_that_could_not_sign_in_have_failed_for_that_reason(
    workbench: Workbench, synchronous: bool
) -> None:
    root = str(workbench.journal.parent / "cloud")
    refusal = ("--match", "GET *", "--status", "401", "--times", "0")
    workbench.command("emulator", "fault", "add", *refusal, "--root", root)
    try:
        code, output = workbench.run(UNDRIVEN.replace("SYNCHRONOUS", str(synchronous)))
        deadline = time.monotonic() + 240
        while (found := recorded(workbench))["run"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        workbench.command("emulator", "fault", "remove", "--root", root)
    assert (code != 0, "cannot open teamspace" in output) == (synchronous, synchronous), output
    assert set(found.values()) == {"failed"}
    # The controller publishes after it has recorded.
    while (statuses := workbench.statuses()) != {"run": "failed", "first": "failed", "second": "failed"}:
        assert time.monotonic() < deadline, statuses
    reasons = workbench.python(REASONS)
    assert reasons.count("CredentialsError: cannot open teamspace") == 2
    workbench.assert_nothing_left()


DYNAMIC = (
    HEADER
    + """
@step(enable_cache=False, settings={"orchestrator": {"step_timeout": 60}})
def inline() -> None:
    note("inline")

@pipeline(dynamic=True, settings=environment())
def grow() -> None:
    note("body")
    inline()

if __name__ == "__main__":
    grow()
"""
)


def test_a_dynamic_pipeline_that_fails_has_failed_and_ran_once(workbench: Workbench) -> None:
    code, output = workbench.run(DYNAMIC, FOLDER=str(workbench.folder))
    assert code == 1, output
    # A setting that has no effect on an inline step is the failure.
    assert "'inline' runs inline, in the process of its pipeline, where step_timeout has no effect" in output
    assert workbench.statuses() == {"run": "failed", "inline": "failed"}
    assert recorded(workbench) == {"run": "failed", "controller": "failed"}
    assert (workbench.folder / "body").read_text() == "body\n"
    assert not (workbench.folder / "inline").exists()
    workbench.assert_nothing_left()


CACHED = (
    HEADER
    + """
@step
def same(x: int) -> int:
    note("same")
    return x

@step(enable_cache=False)
def endless(x: int) -> None:
    print("STEP IS UP", flush=True)
    time.sleep(600)

@pipeline(settings=environment())
def mid_run() -> None:
    same(1, id="first")
    on_l4 = same.with_options(settings={"orchestrator": {"machine_type": "L4"}})
    endless(on_l4(1, id="cached", after=["first"]))

if __name__ == "__main__":
    mid_run()
"""
)

STOP = """
from zenml.client import Client
from zenml.utils.run_utils import stop_run
run = Client().get_pipeline_run(Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0].id)
print("FETCHED", run.status.value, Client().active_stack.orchestrator.fetch_status(run, include_steps=True))
stop_run(run)
"""


def test_a_step_found_in_the_cache_starts_no_machine_and_another_machine_stops_the_run(
    workbench: Workbench, tmp_path: Path
) -> None:
    process = workbench.start(CACHED, FOLDER=str(workbench.folder))
    before = workbench.wait_for(process, "STEP IS UP")
    assert (workbench.folder / "same").read_text() == "same\n", before
    with Journal(workbench.journal) as journal:
        run_id = journal.runs(1)[0].run_id
        steps = {step.name: step for step in journal.steps(run_id)}
        studios = [lease.name for lease in journal.leases(run_id) if lease.kind == "studio"]
    assert (steps["cached"].state, steps["cached"].place) == ("succeeded", None)
    assert len(studios) == 1
    # Another machine has ZenML, and nothing of the run.
    stopped = workbench.python(STOP, {"LIGHTNING_NATIVE_HOME": str(tmp_path / "elsewhere")})
    assert "FETCHED running (None, None)" in stopped
    # The command returns when the run has ended in ZenML.
    assert workbench.statuses() == {"run": "stopped", "first": "completed", "cached": "cached", "endless": "stopped"}
    output, _ = process.communicate(timeout=400)
    assert "was stopped on request" in output
    workbench.assert_nothing_left()
