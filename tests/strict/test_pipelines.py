"""Pipelines of ZenML on machines that know nothing about the computer that submits them."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.abroad import wait_for_end, wait_until_nothing_runs
from tests.support.workbench import Workbench

pytestmark = [pytest.mark.strict, pytest.mark.spread(4)]

# A function with which a step examines its machine.
LOOK = """
import getpass, importlib.util, os, platform, sys
from pathlib import Path
from zenml import pipeline, step
from zenml.config import DockerSettings

def seen(here: str) -> dict[str, str]:
    '''The machine of the step, and whatever of the submitter's it should not find.'''
    import lightning_native
    native = importlib.util.find_spec("lightning_native._native")
    return {
        "python": platform.python_version().rsplit(".", 1)[0],
        "user": getpass.getuser(),
        "submitter": str(Path(here).exists()),
        "package": str(".lightning-native/package/" in lightning_native.__file__),
        "native": str(native is not None),
        "sdk": str("lightning_sdk" in sys.modules),
        "engine": str("lightning_native.engine" in sys.modules),
    }
"""
ABROAD = {
    "python": "3.12",
    "user": "zeus",
    "submitter": "False",
    "package": "True",
    "native": "False",
    "sdk": "False",
    "engine": "False",
}
STATIC = (
    LOOK
    + """
@step(enable_cache=False)
def look(here: str) -> dict:
    return seen(here)

@step(enable_cache=False)
def double(x: int) -> int:
    return 2 * x

@step(enable_cache=False)
def join(found: dict, a: int, b: int) -> dict:
    return {**found, "sum": a + b}

@pipeline(settings={"orchestrator": {"placement": "PLACEMENT", "packaging": "PACKAGING"}})
def static(here: str) -> None:
    join(look(here), double(1, id="one"), double(2, id="two"))

if __name__ == "__main__":
    print("FOUND", static(os.getcwd()).steps["join"].outputs["output"][0].load())
"""
)


def found(output: str) -> dict[str, object]:
    value: dict[str, object] = eval(output.split("FOUND ")[1].splitlines()[0])  # noqa: S307  printed by our own script
    return value


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_static_pipeline_runs(workbench: Workbench, placement: str) -> None:
    script = STATIC.replace("PLACEMENT", placement).replace("PACKAGING", "source")
    code, output = workbench.run(script)
    assert code == 0, output
    assert found(output) == {**ABROAD, "sum": 6}
    # An example is the traceback of threads that cannot start any more while Python 3.12 ends.
    assert "Traceback" not in output
    wait_until_nothing_runs(workbench)


def test_a_pipeline_that_travels_as_a_wheel_runs(workbench: Workbench) -> None:
    script = STATIC.replace("PLACEMENT", "job").replace("PACKAGING", "wheel")
    code, output = workbench.run(script)
    assert code == 0, output
    assert found(output) == {**ABROAD, "sum": 6}
    wait_until_nothing_runs(workbench)


def test_an_asynchronous_run_is_driven_by_a_studio(workbench: Workbench) -> None:
    script = STATIC.replace('"PLACEMENT", "packaging": "PACKAGING"', '"studio", "synchronous": False')
    script = script[: script.index("if __name__")] + "if __name__ == '__main__':\n    static(os.getcwd())\n"
    code, output = workbench.run(script)
    assert code == 0, output
    statuses = wait_for_end(workbench)
    assert set(statuses.values()) == {"completed"}, statuses
    wait_until_nothing_runs(workbench)


DYNAMIC = (
    LOOK
    + """
from zenml.enums import StepRuntime

@step(enable_cache=False)
def count() -> int:
    return 2

@step(enable_cache=False, runtime=StepRuntime.ISOLATED, settings={"orchestrator": {"machine_type": "L4"}})
def look(here: str, number: int) -> dict:
    return {**seen(here), "sum": number}

@pipeline(dynamic=True)
def grow(here: str) -> None:
    look(here, count().load() + 4)

if __name__ == "__main__":
    print("FOUND", grow(os.getcwd()).steps["look"].outputs["output"][0].load())
"""
)


def test_a_dynamic_pipeline_with_an_isolated_step_runs(workbench: Workbench) -> None:
    code, output = workbench.run(DYNAMIC)
    assert code == 0, output
    assert found(output) == {**ABROAD, "sum": 6}
    wait_until_nothing_runs(workbench)


OPERATOR = (
    LOOK
    + """
from zenml.client import Client

@step(enable_cache=False)
def here() -> str:
    return os.getcwd()

@step(enable_cache=False, step_operator=True)
def there(where: str) -> dict:
    return {**seen(where), "sum": 6}

@pipeline
def elsewhere() -> None:
    there(here())

if __name__ == "__main__":
    Client().activate_stack("operator")
    try:
        print("FOUND", elsewhere().steps["there"].outputs["output"][0].load())
    finally:
        Client().activate_stack("lightning")
"""
)


def test_the_step_operator_runs_a_step_of_a_pipeline_that_runs_here(workbench: Workbench) -> None:
    code, output = workbench.run(OPERATOR)
    assert code == 0, output
    assert found(output) == {**ABROAD, "sum": 6}
    wait_until_nothing_runs(workbench)


SCHEDULED = STATIC[: STATIC.index("@pipeline")] + (
    """
from zenml.config.schedule import Schedule

@pipeline
def often(here: str) -> None:
    join(look(here), double(1, id="one"), double(2, id="two"))

if __name__ == "__main__":
    often.with_options(schedule=Schedule(name="often", cron_expression="* * * * *"))(os.getcwd())
"""
)
RUNS = """
import time
from zenml.client import Client

deadline = time.monotonic() + 500
while True:
    runs = Client().list_pipeline_runs(pipeline="often", size=100, hydrate=True).items
    done = [run for run in runs if run.status.value == "completed"]
    assert not [run for run in runs if run.status.value == "failed"], runs
    if done:
        break
    assert time.monotonic() < deadline, runs
    time.sleep(1)
print("FOUND", done[0].steps["join"].outputs["output"][0].load())
"""


def test_a_schedule_runs_a_pipeline_by_itself(workbench: Workbench) -> None:
    code, output = workbench.run(SCHEDULED)
    assert code == 0, output
    try:
        assert found(workbench.python(RUNS)) == {**ABROAD, "sum": 6}
    finally:
        zenml = str(Path(sys.executable).with_name("zenml"))
        deleted = [zenml, "pipeline", "schedule", "delete", "often", "--yes"]
        subprocess.run(deleted, env=workbench.environment, check=True, cwd=workbench.folder)
