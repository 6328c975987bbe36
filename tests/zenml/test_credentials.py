"""Credentials that only the ZenML component has: what comes after a run's death signs in with them, too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

REGISTER = """
import os
from zenml.client import Client
from zenml.enums import StackComponentType as Kind

client = Client()
keys = {"user_id": os.environ["WHO"], "api_key": os.environ["KEY"]}
names = {"username": os.environ["OWNER"], "teamspace": os.environ["TEAMSPACE"]}
configuration = {"cloud": "local", **keys, **names}
client.create_stack_component(os.environ["NAME"], "lightning_native", Kind.ORCHESTRATOR, configuration)
store = client.active_stack_model.components[Kind.ARTIFACT_STORE][0].id
print(client.create_stack(os.environ["NAME"], {Kind.ORCHESTRATOR: os.environ["NAME"], Kind.ARTIFACT_STORE: store}).id)
"""
# Afterwards, because a stack on Lightning is refused a local artifact store.
MOVE = """
import os
from zenml.client import Client

Client().update_stack_component(os.environ["NAME"], "orchestrator", configuration={"cloud": "lightning"})
"""
WAITS = """
import os, time
from pathlib import Path
from zenml import pipeline, step
from zenml.config import DockerSettings

@step(enable_cache=False)
def wait(file: str) -> None:
    print("STEP IS UP", flush=True)
    while not Path(file).exists():
        time.sleep(0.1)

@pipeline
def waiting(file: str) -> None:
    wait(file)

if __name__ == "__main__":
    from zenml.config.global_config import GlobalConfiguration
    docker = DockerSettings(environment={"ZENML_LOCAL_STORES_PATH": GlobalConfiguration().local_stores_path})
    # The local cloud as if it were Lightning's: by its address, with credentials.
    settings = {"docker": docker, "orchestrator": {"cloud": "lightning"}}
    waiting.with_options(settings=settings)(os.environ["FILE"])
"""


@pytest.mark.parametrize("command", ["gc", "resume"])
def test_a_dead_run_is_released_or_driven_on_with_the_credentials_of_its_orchestrator(
    workbench: Workbench, command: str, tmp_path: Path
) -> None:
    cloud = workbench.cloud_environment
    address = {"LIGHTNING_CLOUD_URL": cloud["LIGHTNING_CLOUD_URL"]}
    account = {"WHO": "USER_ID", "KEY": "API_KEY", "OWNER": "USERNAME", "TEAMSPACE": "TEAMSPACE"}
    name = {"NAME": f"keyed-{command}"}
    output = workbench.python(REGISTER, {**name, **{each: cloud[f"LIGHTNING_{of}"] for each, of in account.items()}})
    stack = output.splitlines()[-1]
    try:
        check(workbench, command, stack, {**name, **address}, tmp_path / "go")
    finally:
        # A stack in the variables becomes the active one.
        workbench.python("from zenml.client import Client; Client().activate_stack('local-cloud')")


def check(workbench: Workbench, command: str, stack: str, variables: dict[str, str], file: Path) -> None:
    """Kill the controller of a run on the stack, and have the command deal with what is left."""
    process = workbench.start(WAITS, ZENML_ACTIVE_STACK_ID=stack, FILE=str(file), **variables)
    workbench.wait_for(process, "STEP IS UP")
    with Journal(workbench.journal) as journal:
        record = journal.runs(1)[0]
    assert record.controller is not None
    os.kill(record.controller, signal.SIGKILL)
    process.communicate(timeout=240)
    workbench.python(MOVE, variables)
    file.touch()
    arguments = ["gc", "--yes"] if command == "gc" else ["runs", "resume", record.run_id]
    result = subprocess.run(
        [sys.executable, "-m", "lightning_native", *arguments],
        env={**workbench.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert workbench.cloud_environment["LIGHTNING_API_KEY"] not in result.stdout + result.stderr
    with Journal(workbench.journal) as journal:
        ended = journal.run(record.run_id)
    assert ended is not None
    assert ended.state == ("failed" if command == "gc" else "completed")
    workbench.assert_nothing_left()
