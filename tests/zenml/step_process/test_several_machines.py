"""A step on several machines: each runs its function with the inputs, and ZenML has one record, of rank 0."""

import pytest
from tests.support.workbench import Workbench

pytestmark = pytest.mark.spread(5)


def test_each_machine_runs_the_function_and_rank_0_returns(workbench: Workbench) -> None:
    code, output = workbench.run(
        """
import os, time
from pathlib import Path
from zenml import get_step_context, pipeline, step
from zenml.client import Client

@step(enable_cache=False)
def folder(where: str) -> str:
    return where

@step(enable_cache=False, settings={"orchestrator": {"num_machines": 2}})
def train(folder: str, times: int) -> str:
    rank = os.environ["NODE_RANK"]
    (Path(folder) / f"rank-{rank}").write_text(get_step_context().step_run.name * times)
    # Neither ends without the other.
    while len(list(Path(folder).glob("rank-*"))) < int(os.environ["NUM_NODES"]):
        time.sleep(0.05)
    return rank

@pipeline(settings={"orchestrator": {"placement": "job"}})
def several() -> None:
    train(folder(os.environ["FOLDER"]), times=2)

if __name__ == "__main__":
    run = Client().get_pipeline_run(several().id)
    print("RESULT", run.steps["train"].output.load(), len(Client().list_run_steps(pipeline_run_id=run.id)))
""",
        FOLDER=str(workbench.folder),
    )
    assert code == 0, output
    assert "RESULT 0 2" in output
    assert {path.name: path.read_text() for path in workbench.folder.glob("rank-*")} == {
        "rank-0": "traintrain",
        "rank-1": "traintrain",
    }
    assert workbench.statuses() == {"run": "completed", "folder": "completed", "train": "completed"}
