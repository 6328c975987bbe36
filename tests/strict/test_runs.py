"""Runs with failures, stops and interruptions, on machines that know nothing about the computer that submits them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.abroad import wait_for_end, wait_until_nothing_runs
from tests.support.workbench import Workbench

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.strict

HEADER = """
import os, time
from zenml import pipeline, step
from zenml.client import Client
from zenml.config.retry_config import StepRetryConfig
from zenml.io import fileio
"""


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_failure_is_shown_and_what_does_not_need_it_runs(workbench: Workbench, placement: str) -> None:
    code, output = workbench.run(
        HEADER
        + f"""
@step(enable_cache=False)
def good() -> int:
    return 1

@step(enable_cache=False, retry=StepRetryConfig(max_retries=1, delay=0))
def bad() -> int:
    raise ValueError("this one fails on purpose")

@step(enable_cache=False)
def after(x: int) -> int:
    return x

@pipeline(settings={{"orchestrator": {{"placement": {placement!r}}}}})
def partly() -> None:
    after(bad(), id="after_bad")
    after(good(), id="after_good")

if __name__ == "__main__":
    partly()
"""
    )
    assert code != 0
    assert "this one fails on purpose" in output
    statuses = workbench.statuses()
    assert (statuses["run"], statuses["good"], statuses["bad"]) == ("failed", "completed", "failed"), statuses
    assert statuses["after_good"] == "completed"
    assert "after_bad" not in statuses
    wait_until_nothing_runs(workbench)


WAITING = (
    HEADER
    + """
@step(enable_cache=False)
def wait() -> None:
    print("THE STEP IS UP", flush=True)
    time.sleep(900)

@pipeline(settings={"orchestrator": {"synchronous": SYNCHRONOUS}})
def waiting() -> None:
    wait()

if __name__ == "__main__":
    waiting()
"""
)
UP = """
import time
from zenml.client import Client
deadline = time.monotonic() + 500
while True:
    (run,) = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items
    if any(step.status.value == "running" for step in run.steps.values()):
        break
    assert time.monotonic() < deadline, run.status
    time.sleep(1)
"""


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_run_is_stopped_through_zenml(workbench: Workbench, synchronous: bool) -> None:
    process = workbench.start(WAITING.replace("SYNCHRONOUS", str(synchronous)))
    if synchronous:
        workbench.wait_for(process, "THE STEP IS UP")
    else:
        assert process.communicate(timeout=500)[0]
        workbench.python(UP)
    zenml = str(Path(sys.executable).with_name("zenml"))
    stop = [zenml, "pipeline", "runs", "stop", workbench.newest_run(), "--yes"]
    subprocess.run(stop, env=workbench.environment, check=True, cwd=workbench.folder)
    process.communicate(timeout=400)
    assert wait_for_end(workbench) == {"run": "stopped", "wait": "stopped"}
    wait_until_nothing_runs(workbench)


def test_a_job_whose_machine_is_taken_away_goes_on_as_the_same_step(workbench: Workbench, cloud: LocalCloud) -> None:
    # In simulated seconds: once the step runs.
    cloud.faults.add("interrupt", seconds=1800.0, times=1)
    code, output = workbench.run(
        HEADER
        + """
@step(enable_cache=False)
def save() -> str:
    # In the artifact store, which outlives the machine.
    mark = Client().active_stack.artifact_store.path + "/taken-away"
    if fileio.exists(mark):
        return "went on"
    try:
        time.sleep(900)
    finally:
        with fileio.open(mark, "w") as file:
            file.write("x")
    return "was never told"

@pipeline(settings={"orchestrator": {"placement": "job", "interruptible": True}})
def interruptible() -> None:
    save()

if __name__ == "__main__":
    print("FOUND", interruptible().steps["save"].outputs["output"][0].load())
"""
    )
    assert code == 0, output
    assert "FOUND went on" in output
    wait_until_nothing_runs(workbench)


def test_a_notebook_runs_before_its_step(workbench: Workbench) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**cell, "source": "from pathlib import Path; Path('made').write_text('by a notebook')"}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    workbench.write("explore.ipynb", json.dumps(notebook))
    code, output = workbench.run(
        HEADER
        + """
EXPLORE = {"type": "notebook", "spec": {"notebookPathURI": "explore.ipynb"}}

@step(enable_cache=False, settings={"orchestrator": {"runtime": EXPLORE}})
def made() -> str:
    return open("made").read()

@pipeline
def notebooks() -> None:
    made()

if __name__ == "__main__":
    print("FOUND", notebooks().steps["made"].outputs["output"][0].load())
"""
    )
    assert code == 0, output
    assert "FOUND by a notebook" in output
    wait_until_nothing_runs(workbench)
