"""An attempt that is given up has failed, is ended, and is tried again where it may be."""

import threading
import time

import pytest
from runner import Runner

from lightning_native.engine.journal import Journal
from lightning_native.engine.plan import PlacementName, Retry, StepPlan
from lightning_native.engine.run import GiveUp, run
from lightning_native.lightning.session import cloud_name, connect


# The SDK leaves its sockets to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_silent_attempt_is_ended_and_the_step_tried_again(runner: Runner, placement: PlacementName) -> None:
    flag = runner.results / "flag"
    script = f"test -f {flag} || {{ echo x >{flag}; sleep 600; }}"
    folder = runner.make(
        placement,
        StepPlan("silent", ("sh", "-c", script), retry=Retry(1)),
        StepPlan("hopeless", ("sh", "-c", f"echo x >{flag}.hopeless; sleep 600")),
    )

    def begun(give_up: GiveUp) -> None:
        def watch() -> None:
            for step, name in (("silent", "flag"), ("hopeless", "flag.hopeless")):
                runner.wait_for(name)
                # The job's start is seen a moment after the job has begun.
                time.sleep(0.5)
                give_up(step, "it was silent")

        threading.Thread(target=watch, daemon=True).start()

    with folder.driven(), Journal() as journal:
        result = run(folder, cloud=connect(), cloud_name=cloud_name(), journal=journal, begun=begun)
        steps = {step.name: step for step in journal.steps(folder.path.name)}
    assert (result.state, result.message) == ("failed", "step hopeless: it was silent")
    assert (steps["silent"].state, steps["silent"].attempt) == ("succeeded", 2)
    assert (steps["hopeless"].state, steps["hopeless"].message) == ("failed", "it was silent")
    assert "lightning-native: it was silent" in folder.log("hopeless").read_text()
