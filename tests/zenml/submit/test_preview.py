"""`plan run.py:pipeline` shows what a pipeline would do on the active stack, and stores and starts nothing."""

import json
import subprocess
import sys

import pytest
from tests.support.workbench import Workbench

PIPELINE = """
from zenml import pipeline, step

@step
def load() -> int:
    return 1

@step(settings={"orchestrator": {"machine_type": "L4"}})
def train(x: int, rate: float = 0.5) -> float:
    return x * rate

@pipeline
def two() -> None:
    train(load())

@pipeline(dynamic=True)
def grow() -> None:
    load()

if __name__ == "__main__":
    raise SystemExit("this is not to run")
"""
STORED = """
from zenml.client import Client
client = Client()
print("STORED", client.list_pipelines(name="two").total)
"""


def plan(workbench: Workbench, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lightning_native", "plan", *arguments],
        cwd=workbench.folder,
        env=workbench.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_a_pipeline_is_planned_and_nothing_is_stored_or_started(workbench: Workbench) -> None:
    workbench.write("run.py", PIPELINE)
    result = plan(workbench, "run.py:two", "--json")
    assert result.returncode == 0, result.stderr
    planned = json.loads(result.stdout[result.stdout.index("{") :])
    steps = {step["step"]: (step["machine"], step["needs"]) for step in planned["steps"]}
    assert steps == {"load": ("CPU", []), "train": ("L4", ["load"])}
    assert planned["total_cost"] > 0
    assert "STORED 0" in workbench.python(STORED)
    workbench.assert_nothing_left()


CACHED = """
from zenml import pipeline, step
from zenml.config import DockerSettings

@step
def load() -> int:
    return 1

@step
def shift(x: int) -> int:
    return x + 1

@step(enable_cache=False)
def train(x: int) -> int:
    return x

@pipeline
def some() -> None:
    train(shift(load()))

@pipeline
def every() -> None:
    shift(load())

images = DockerSettings(parent_image="registry.example/train:1", skip_build=True)

@pipeline(settings={"docker": images, "orchestrator": {"packaging": "image"}}, enable_cache=False)
def boxed() -> None:
    shift(load())

if __name__ == "__main__":
    some()
"""


def test_cached_steps_and_images_are_planned_as_they_would_run(workbench: Workbench) -> None:
    workbench.write("pipeline.py", CACHED)

    def planned(name: str) -> tuple[list[str], list[str]]:
        result = plan(workbench, name, "--json")
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout[result.stdout.index("{") :])
        return [step["step"] for step in found["steps"]], found["cached"]

    assert planned("pipeline.py:some") == (["load", "shift", "train"], [])
    code, output = workbench.run(CACHED)
    assert code == 0, output
    assert planned("pipeline.py:some") == (["train"], ["load", "shift"])
    assert planned("pipeline.py:every") == ([], ["load", "shift"])
    assert planned("pipeline.py:boxed") == (["load", "shift"], [])
    shown = plan(workbench, "pipeline.py:some")
    assert "cached, and not run again: load, shift" in shown.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("run.py", "has 2 pipelines (two, grow)\nhint: name one, such as run.py:two"),
        ("run.py:three", "has no pipeline 'three'\nhint: choose from: two, grow"),
        ("run.py:grow", "pipeline 'grow' is dynamic"),
        ("gone.py", "gone.py is no file\nhint: name one"),
        ("wrong.py", "wrong.py cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_cannot_be_planned_is_one_error(workbench: Workbench, name: str, reason: str) -> None:
    workbench.write("run.py", PIPELINE)
    workbench.write("wrong.py", "1 / 0")
    result = plan(workbench, name)
    assert (result.returncode, reason in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr
