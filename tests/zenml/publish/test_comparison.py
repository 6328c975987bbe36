"""An end is compared with ZenML's record of it, in ZenML's own store."""

from pathlib import Path

import pytest
from tests.support.workbench import Workbench

from lightning_native.zenml.step_process.confirmed_end import UNCONFIRMED_EXIT_CODE

pytestmark = pytest.mark.spread(5)

SCRIPT = """
from contextlib import suppress
from zenml import get_step_context, pipeline, step
from zenml.client import Client
from lightning_native.engine.result import StepResult
from lightning_native.zenml.publish.observer import StepObserver
from lightning_native.zenml.publish.publisher import RunPublisher
from lightning_native.zenml.step_process.confirmed_end import UNCONFIRMED_EXIT_CODE
from lightning_native.zenml.step_process.unconfirmed_end import publish_unconfirmed

@step(enable_cache=False)
def good() -> None:
    pass

@step(enable_cache=False)
def silent() -> None:
    # What its parent does when this process has ended here.
    print("SILENT", publish_unconfirmed(["--step_run_id", str(get_step_context().step_run.id)], "it said nothing"))
    info = Client().get_run_step(get_step_context().step_run.id).exception_info
    print("REASON", info.traceback)
    raise ValueError("it goes on all the same")

@pipeline
def recorded() -> None:
    good()
    silent(after="good")

if __name__ == "__main__":
    with suppress(Exception):
        recorded()
    run = Client().list_pipeline_runs(size=1, hydrate=True).items[0]
    crashed = StepResult("failed", -11, "a crash")
    for name, step_run in run.steps.items():
        for seen in (
            StepObserver(step_run.id).compared(name, crashed),
            RunPublisher(run.id).compared(name, crashed),
        ):
            print("STEP", name, seen.state, seen.message)
        unconfirmed = StepResult("failed", UNCONFIRMED_EXIT_CODE, "exit code 121")
        print("EXPLAINED", StepObserver(step_run.id).compared(name, unconfirmed).message[:38])
        print("AGAIN", name, publish_unconfirmed(["--step_run_id", str(step_run.id)], "again"))
    seen = RunPublisher(run.id).compared_run(StepResult("failed", 45, "exit code 45"))
    print("RUN", seen.state, seen.is_final)
    print("UNKNOWN", RunPublisher(run.id).compared("unknown", crashed).state)
"""


def test_zenmls_record_counts(workbench: Workbench, tmp_path: Path) -> None:
    # A ZenML of its own, whose stack runs the steps in this process.
    output = workbench.python(SCRIPT, {"ZENML_CONFIG_PATH": str(tmp_path / "config")})
    lines = [line for line in output.splitlines() if line.split(" ")[0].isupper()]
    assert lines == [
        f"SILENT {UNCONFIRMED_EXIT_CODE}",
        "REASON it said nothing",
        *["STEP good succeeded "] * 2,
        "EXPLAINED ",
        "AGAIN good 0",
        *["STEP silent failed a crash"] * 2,
        "EXPLAINED its process ended with exit code 0 bef",
        f"AGAIN silent {UNCONFIRMED_EXIT_CODE}",
        "RUN failed True",
        "UNKNOWN failed",
    ]
