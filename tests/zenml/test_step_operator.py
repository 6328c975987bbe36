"""Single steps on Lightning, from an orchestrator of another kind."""

import json
import re

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

SCRIPT = """
import atexit, json, os, sys
from pathlib import Path
from zenml import CommandStep, pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.enums import StackComponentType

@step(enable_cache=False)
def here() -> str:
    return str("LIGHTNING_CLOUD_SPACE_ID" in os.environ)

@step(enable_cache=False, step_operator=True, settings={"step_operator": {"machine_type": "T4"}})
def there(where: str) -> str:
    # It has completed all the same.
    atexit.register(os.kill, os.getpid(), 9)
    return where + str("LIGHTNING_CLOUD_SPACE_ID" in os.environ)

@step(enable_cache=False, step_operator=True)
def broken() -> None:
    raise ValueError("on purpose")

@step(enable_cache=False, step_operator=True)
def dies() -> None:
    print("the last line")
    sys.stdout.flush()
    os._exit(3)

command = CommandStep(
    ["sh", "-c", 'echo "$@" >$OUT', "sh", "it's", "$HOME", "a  b"], name="command", step_operator=True,
    environment={"OUT": os.environ.get("FOLDER", "") + "/out"},
    settings={"step_operator": {"packaging": "image"}, "docker": DockerSettings(parent_image="i:1", skip_build=True)},
)

@pipeline
def elsewhere() -> None:
    command()
    there(here())

@pipeline
def fails() -> None:
    broken()
    dies()

if __name__ == "__main__":
    client = Client()
    client.create_flavor(
        source="lightning_native.zenml.flavor.LightningNativeStepOperatorFlavor",
        component_type=StackComponentType.STEP_OPERATOR,
    )
    client.create_stack_component(
        name="operator", flavor="lightning_native", component_type=StackComponentType.STEP_OPERATOR,
        configuration={"cloud": "local"},
    )
    client.create_stack(
        name="elsewhere",
        components={
            StackComponentType.ORCHESTRATOR: "default",
            StackComponentType.ARTIFACT_STORE: "default",
            StackComponentType.STEP_OPERATOR: "operator",
        },
    )
    client.activate_stack("elsewhere")
    run = client.get_pipeline_run(elsewhere().id)
    print("RESULT", run.steps["there"].output.load(), run.steps["there"].run_metadata["orchestrator_url"])
    print("STATUSES", json.dumps({name: step.status.value for name, step in run.steps.items()}))
    try:
        fails()
    except Exception as error:
        print("FAILED WITH", error)
    client.activate_stack("local-cloud")
"""


def test_marked_steps_run_on_lightning_and_the_others_here(workbench: Workbench) -> None:
    code, output = workbench.run(SCRIPT, FOLDER=str(workbench.folder))
    assert code == 0, output
    result, url = output.split("RESULT ")[1].splitlines()[0].split()
    assert result == "FalseTrue", output
    assert "/studios/elsewhere-there-" in url
    statuses = json.loads(output.split("STATUSES ")[1].splitlines()[0])
    assert statuses == {"command": "completed", "here": "completed", "there": "completed"}
    # A step's command arrives as it was written, without a shell that changes it.
    assert (workbench.folder / "out").read_text() == "it's $HOME a  b\n"
    assert "ValueError: on purpose" in output
    assert "FAILED WITH Pipeline run has failed due to failure in step(s): broken" in output
    reasons = workbench.reasons()
    assert reasons["broken"] == "on purpose"
    assert reasons["dies"].startswith("its command ended with exit code 3")
    # The reason is shown where ZenML only counts the failed steps.
    assert f"Step dies: {reasons['dies']}; its logs are in " in re.sub("\x1b.*?m", "", output)
    # Its process could not publish where it runs.
    where = reasons["metadata"]["dies"]
    assert "/studios/fails-" in where["orchestrator_url"]
    assert where["logs_command"].startswith("lightning-native runs logs ")
    assert workbench.statuses() == dict.fromkeys(("run", "broken", "dies"), "failed")
    with Journal(workbench.journal) as journal:
        steps = [step for record in journal.runs(4) for step in journal.steps(record.run_id)]
    assert {step.name: step.state for step in steps} == {
        "there": "succeeded",
        "command": "succeeded",
        **dict.fromkeys(("broken", "dies"), "failed"),
    }
    assert {step.name: step.machine for step in steps}["there"] == "T4"
    workbench.assert_nothing_left()
