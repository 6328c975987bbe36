"""The first ten minutes of a stranger with an installed package: demo, own pipeline, workflow, job, and tests in CI."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.moving.conftest import WHEELS

pytestmark = [
    pytest.mark.skipif(not WHEELS.is_dir(), reason="make test-moving builds the wheel"),
    pytest.mark.timeout(1800),
]
PIPELINE = """
from zenml import pipeline, step

@step
def numbers() -> list[int]:
    return [1, 2, 3]

@step(settings={"orchestrator": {"machine_type": "L4"}})
def add(values: list[int]) -> int:
    print("the sum is", sum(values))
    return sum(values)

@pipeline
def own() -> None:
    add(numbers())

if __name__ == "__main__":
    own()
"""
WORKFLOW = """
name: own
steps:
  load: {command: "echo loaded > data.txt; cat own.txt"}
  train: {command: "echo trained", needs: load, machine: L4}
"""
JOB = """
kind: job
spec:
  name: own
  infrastructure: {kind: infrastructure, type: lightning, spec: {machine: CPU}}
  runtime: {kind: runtime, type: python, spec: {scriptPathURI: count.py}}
"""
TEST = """
from lightning_native.emulator import LocalCloud

def test_a_studio_runs_a_command(tmp_path):
    with LocalCloud(tmp_path / "cloud") as cloud:
        assert cloud.url.startswith("http://127.0.0.1:")

def test_the_plugin_gives_a_cloud(lightning_cloud):
    assert lightning_cloud.environ["LIGHTNING_CLOUD_URL"] == lightning_cloud.url
"""

Call = Callable[..., str]


@pytest.fixture
def call(installed: Path, tmp_path: Path) -> Call:
    """Return a function that runs a command of the environment as a new user, and returns what it prints."""
    dropped = ("LIGHTNING_", "ZENML_", "XDG_", "HOME", "VIRTUAL_ENV", "PYTHON", "PYTEST")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    environ |= {"HOME": str(tmp_path / "home"), "PATH": f"{installed.parent}{os.pathsep}/usr/local/bin:/usr/bin:/bin"}
    (tmp_path / "home").mkdir()
    (tmp_path / "code").mkdir()

    def call(*argv: str) -> str:
        result = subprocess.run(
            argv, cwd=tmp_path / "code", env=environ, capture_output=True, text=True, check=False, timeout=900
        )
        assert result.returncode == 0, f"{argv}\n{result.stdout[-4000:]}{result.stderr[-4000:]}"
        return result.stdout + result.stderr

    return call


def test_the_demo_runs_from_an_installed_package(call: Call) -> None:
    shown = call("lightning-native", "demo")
    assert "best model: SVC" in shown
    assert "steps: 8 of 8 done" in shown
    assert "0 left" in shown


def test_a_strangers_pipeline_workflow_job_and_tests_run(call: Call, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "pipeline.py").write_text(PIPELINE)
    (code / "workflow.yaml").write_text(WORKFLOW)
    (code / "own.txt").write_text("own data\n")
    (code / "job.yaml").write_text(JOB)
    (code / "count.py").write_text("print('counted')")
    (code / "test_own.py").write_text(TEST)
    assert "stack local-cloud is active now" in call("lightning-native", "init", "--local")
    shown = call("python", "pipeline.py")
    assert "the sum is 6" in shown
    assert "steps: 2 succeeded" in shown
    assert "$" in call("lightning-native", "plan", "workflow.yaml", "--local")
    assert "[load] own data" in call("lightning-native", "run", "workflow.yaml", "--local")
    assert "counted" in call("lightning-native", "job", "run", "job.yaml", "--local")
    assert "own" in call("lightning-native", "runs")
    assert "2 passed" in call("python", "-m", "pytest", "-q", "test_own.py")
