"""`lightning-native runs retry` of a pipeline is ZenML's replay, without the steps that succeeded."""

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

PIPELINE = """
from pathlib import Path
from zenml import pipeline, step

HERE = Path({folder!r})

@step(enable_cache=False)
def load() -> int:
    (HERE / "log").open("a").write("load\\n")
    return 3

@step(enable_cache=False)
def train(x: int) -> int:
    (HERE / "log").open("a").write(f"train {{x}}\\n")
    if not (HERE / "mended").exists():
        raise ValueError("not yet")
    return x + 1

@pipeline
def learn() -> None:
    train(load())

if __name__ == "__main__":
    learn()
"""


def test_a_failed_pipeline_is_replayed_without_what_succeeded(workbench: Workbench) -> None:
    code, output = workbench.run(PIPELINE.format(folder=str(workbench.folder)))
    assert code != 0, output
    with Journal(workbench.journal) as journal:
        run_id = journal.runs(1)[0].run_id
    (workbench.folder / "mended").touch()
    workbench.command("runs", "retry", run_id)
    assert (workbench.folder / "log").read_text() == "load\ntrain 3\ntrain 3\n"
    statuses = workbench.statuses()
    assert statuses["train"] == "completed"
    with Journal(workbench.journal) as journal:
        assert journal.runs(1)[0].state == "completed"
        with pytest.raises(AssertionError, match="has completed; name the step"):
            workbench.command("runs", "retry", journal.runs(1)[0].run_id)
    workbench.assert_nothing_left()
