"""Steps on machines with each Python from 3.10 that this computer has; the other tests have 3.12."""

import sys
from pathlib import Path

import pytest
from tests.support.abroad import abroad, wait_until_nothing_runs
from tests.support.workbench import Workbench

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.strict.environment import find_interpreter
from lightning_native.errors import EmulatorError

pytestmark = pytest.mark.strict

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"

PIPELINE = """
import importlib.util, sys
from zenml import pipeline, step

@step(enable_cache=False)
def look() -> str:
    native = importlib.util.find_spec("lightning_native._native")
    return f"{sys.version_info[0]}.{sys.version_info[1]} {native}"

@pipeline(settings={"orchestrator": {"placement": "job"}})
def looking() -> None:
    look()

if __name__ == "__main__":
    print("FOUND", looking().steps["look"].outputs["output"][0].load())
"""


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.13"])
def test_a_step_runs_without_the_native_module(version: str, tmp_path: Path) -> None:
    try:
        find_interpreter(version)
    except EmulatorError as error:
        pytest.skip(str(error))
    with (
        LocalCloud(tmp_path / "cloud", strict=True, python=version, preinstalled=()) as cloud,
        abroad(cloud, tmp_path) as environment,
    ):
        workbench = Workbench(environment, dict(cloud.environ), tmp_path / "code")
        code, output = workbench.run(PIPELINE)
        assert code == 0, output
        assert f"FOUND {version} None" in output
        assert (f"The machines have Python {version}" in output) == (version != OWN)
        wait_until_nothing_runs(workbench)
