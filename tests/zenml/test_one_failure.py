"""A run of eight steps of which one fails is understood from the terminal alone, the report alone, or ZenML alone."""

import html
import json
import re

from tests.support.workbench import Workbench

PIPELINE = """
from zenml import pipeline, step

@step(enable_cache=False)
def load() -> int:
    print("loaded 150 rows")
    return 150

@step(enable_cache=False)
def split(rows: int) -> int:
    return rows // 2

@step(enable_cache=False)
def train(rows: int, rate: float) -> float:
    print(f"training with rate {rate}")
    if rate > 0.5:
        raise ValueError(f"the loss diverged at rate {rate}")
    return 1 - rate

@step(enable_cache=False)
def pick(first: float, second: float, third: float) -> float:
    return max(first, second, third)

@step(enable_cache=False)
def describe(rows: int) -> str:
    return f"{rows} rows"

@step(enable_cache=False)
def publish(best: float) -> None:
    print("published", best)

@pipeline
def eight() -> None:
    rows = split(load())
    describe(rows)
    publish(pick(*(train(rows, rate) for rate in (0.1, 0.3, 0.9))))

if __name__ == "__main__":
    eight()
"""
IN_ZENML = """
import json
from pathlib import Path
from zenml.client import Client
run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
report = str(run.run_metadata["report"])
print("FOUND", json.dumps({
    "status": run.status.value,
    "steps": {name: step.status.value for name, step in run.steps.items()},
    "report": Path(report.removeprefix("file://")).read_text(),
    "cost": run.run_metadata["cost_dollars"],
}))
"""
REASON = "ValueError: the loss diverged at rate 0.9"


def test_one_failed_step_of_eight_is_understood_from_each_place(workbench: Workbench) -> None:
    code, terminal = workbench.run(PIPELINE)
    assert code == 1
    # The terminal: what failed and why, what became of the rest, what it cost, and what to do.
    assert "[train_3] training with rate 0.9" in terminal
    assert re.search(r"steps: 5 succeeded, 1 failed, 2 skipped, in ", terminal), terminal
    assert re.search(rf"^failed: train_3: .*{re.escape(REASON)}", terminal, re.MULTILINE), terminal
    assert 'raise ValueError(f"the loss diverged at rate {rate}")' in terminal
    assert re.search(r"^cost: \$", terminal, re.MULTILINE)
    assert "lightning-native runs show" in terminal
    # ZenML: the same states and the same reason, of the step and of the run.
    found = json.loads(workbench.python(IN_ZENML).split("FOUND ")[1])
    assert found["status"] == "failed"
    expected = {"load", "split", "describe", "train", "train_2"}
    assert {name for name, status in found["steps"].items() if status == "completed"} == expected
    assert found["steps"]["train_3"] == "failed"
    reasons = workbench.reasons()
    assert "the loss diverged at rate 0.9" in reasons["train_3"]
    assert "train_3" in reasons["run"]
    assert "the loss diverged at rate 0.9" in reasons["run"]
    assert found["cost"] > 0
    # The report, as ZenML keeps it: the failure on top, with the end of its output.
    page = html.unescape(found["report"])
    top = page[page.index("<main") if "<main" in page else page.index("<body") :]
    assert top.index("train_3") < top.index("load")
    assert REASON in page
    assert "training with rate 0.9" in page
    for name in ("load", "split", "describe", "train", "train_2", "pick", "publish"):
        assert name in page
