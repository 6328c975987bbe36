"""A warning before anything is created, for users whose machines have another Python than their computer."""

import sys

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.session import cloud_name

pytestmark = pytest.mark.spread(5)

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
PIPELINE = """
from zenml import pipeline, step

@step(enable_cache=False)
def only() -> str:
    import shutil, sys
    return shutil.which("python") + " " + sys.executable

@pipeline(settings={"orchestrator": {"placement": "studio"}})
def small() -> None:
    only()

if __name__ == "__main__":
    small()
    print("RESULT", small.model.last_run.steps["only"].output.load())
"""


def test_another_python_of_the_machines_is_logged_once_until_they_were_asked(workbench: Workbench) -> None:
    with pytest.MonkeyPatch.context() as patch, Journal(workbench.journal) as journal:
        for name, value in workbench.cloud_environment.items():
            patch.setenv(name, value)
        journal.machine_python_found(cloud_name(), "3.8")
    code, output = workbench.run(PIPELINE)
    assert code == 0, output
    text = " ".join(output.split())
    assert f"The machines have Python 3.8, and this computer {OWN}: " in text
    assert text.index("The machines have") < text.index("is driven by process")
    # ZenML starts a step with the environment's own interpreter, which the step's commands also find first.
    first, interpreter = output.split("RESULT ")[1].split()[:2]
    assert first == interpreter
    with Journal(workbench.journal) as journal:
        events = [event.text for event in journal.events(journal.runs(1)[0].run_id)]
    assert any(event.startswith("the machines have Python 3.8") for event in events)
    assert any("where 3.8 was expected" in event for event in events)
    code, output = workbench.run(PIPELINE)
    assert code == 0, output
    assert "The machines have" not in output
