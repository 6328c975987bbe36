"""Users' files with the names of modules neither break a pipeline nor run in its controller."""

import subprocess
import sys
import time

import pytest
from tests.support.hostile import HostileFolder
from tests.support.workbench import Workbench

pytestmark = pytest.mark.spread(4)

STEPS = """
from zenml import step
import helper

@step(enable_cache=False)
def greet() -> str:
    # Python's own are found first, also what nobody has imported yet.
    import wave
    print("from", helper.NAME, wave.__name__)
    return helper.NAME
"""
PIPELINE = """
import sys
sys.path.append({root!r})
from zenml import pipeline
import steps

@pipeline(settings={{"orchestrator": {{"synchronous": {synchronous}}}}})
def careful() -> None:
    steps.greet()

if __name__ == "__main__":
    careful()
"""


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_pipeline_runs_in_a_folder_of_files_named_like_modules(workbench: Workbench, synchronous: bool) -> None:
    # The script is in a folder below, because Python itself finds files beside a script first.
    code = workbench.folder / "code"
    code.mkdir()
    # ZenML itself searches for a flavor in the folder of the code first.
    hostile = HostileFolder(code, spare=frozenset({"lightning_native"}))
    (code / "helper.py").write_text("NAME = 'a helper'\n")
    (code / "steps.py").write_text(STEPS)
    script = workbench.write("code/scripts/pipeline.py", PIPELINE.format(root=str(code), synchronous=synchronous))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=code,
        env={**workbench.environment, "ZENML_CUSTOM_SOURCE_ROOT": str(code)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deadline = time.monotonic() + 300
    while (not synchronous and workbench.statuses()["run"] not in ("completed", "failed")) or workbench.studios():
        assert time.monotonic() < deadline
        time.sleep(1)
    assert workbench.statuses() == {"run": "completed", "greet": "completed"}
    # ZenML itself runs `pip freeze` in the folder in which the script was started.
    assert [line for line in hostile.imported() if "'pip', 'freeze'" not in line] == []
    workbench.assert_nothing_left()
