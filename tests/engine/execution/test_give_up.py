"""An abandoned attempt fails and is ended; another attempt follows if the step has a retry left."""

import os
import subprocess
import sys

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.placement import PlacementName

# A process of its own, like a controller's, because the garbage collector reports sockets that the SDK leaves open.
DRIVE = """
import sys, threading, time
from pathlib import Path
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.session import cloud_name, connect

folder, flags = RunFolder(Path(sys.argv[1])), sys.argv[2:]

def on_start(abandon):
    def watch():
        for flag in map(Path, flags):
            while not flag.exists():
                time.sleep(0.05)
            # That a job has begun is seen a moment after it has.
            time.sleep(0.5)
            abandon(flag.name, "it was silent")
    threading.Thread(target=watch, daemon=True).start()

with folder.driven(), Journal() as journal:
    result = run_plan(folder, cloud=connect(), cloud_name=cloud_name(), journal=journal, on_start=on_start)
print("RESULT", result.state, result.message)
"""


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_silent_attempt_is_ended_and_the_step_tried_again(
    runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName
) -> None:
    silent, hopeless = runner.results / "silent", runner.results / "hopeless"
    folder = runner.make(
        placement,
        StepPlan("silent", ("sh", "-c", f"test -f {silent} || {{ echo x >{silent}; sleep 600; }}"), retry=Retry(1)),
        StepPlan("hopeless", ("sh", "-c", f"echo x >{hopeless}; sleep 600")),
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRIVE, str(folder.path), str(silent), str(hopeless)],
        env={**os.environ, **lightning_cloud.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert "RESULT failed step hopeless: it was silent" in result.stdout, result.stderr
    with Journal() as journal:
        steps = {step.name: step for step in journal.steps(folder.path.name)}
    assert (steps["silent"].state, steps["silent"].attempt) == ("succeeded", 2)
    assert (steps["hopeless"].state, steps["hopeless"].message) == ("failed", "it was silent")
    assert "lightning-native: it was silent" in folder.log("hopeless").read_text()
