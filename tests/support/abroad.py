"""A user whose steps run on machines without access to this computer: a strict local cloud, used like Lightning.

The services that steps need have an address of this computer that those machines reach over their network.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal
from tests.support.servers.host_address import host_address
from tests.support.servers.object_store import BUCKET, KEY, SECRET, serve_object_store
from tests.support.servers.zenml_server import serve_zenml
from tests.support.workbench import Workbench

_STACK = """
import json, os
from zenml.client import Client
from zenml.enums import StackComponentType as Type

client = Client()
for kind, name in ((Type.ORCHESTRATOR, "Orchestrator"), (Type.STEP_OPERATOR, "StepOperator")):
    source = f"lightning_native.zenml.flavor.LightningNative{name}Flavor"
    client.create_flavor(source=source, component_type=kind)
    client.create_stack_component(
        name="lightning", flavor="lightning_native", component_type=kind, configuration={"cloud": "lightning"}
    )
client.create_stack_component(
    name="elsewhere", flavor="s3", component_type=Type.ARTIFACT_STORE, configuration=json.loads(os.environ["STORE"])
)
components = {Type.ORCHESTRATOR: "lightning", Type.ARTIFACT_STORE: "elsewhere"}
client.create_stack(name="lightning", components=components)
client.create_stack(
    name="operator",
    components={**components, Type.ORCHESTRATOR: "default", Type.STEP_OPERATOR: "lightning"},
)
client.activate_stack("lightning")
"""
_RUNNING = """
from lightning_native.lightning.session import connect
cloud = connect()
studios = [name for name in cloud.studio_names() if (studio := cloud.find_studio(name)) and studio.is_running()]
print("RUNNING", studios)
"""
_FINAL = ("completed", "failed", "stopped")


@contextmanager
def abroad(cloud: LocalCloud, folder: Path) -> Iterator[dict[str, str]]:
    """Run a ZenML server and an object store, and yield the variables of their user, who has two stacks there.

    The active one, `lightning`, has our orchestrator; `operator` has ZenML's own and our step operator.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))}
    environment = {
        **own,
        **cloud.environ,
        "LIGHTNING_NATIVE_HOME": str(folder / "home"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with host_address() as address, serve_object_store(address, folder) as store:

        def register(user: dict[str, str], code: Path) -> None:
            configuration = {
                "path": f"s3://{BUCKET}",
                "key": KEY,
                "secret": SECRET,
                "client_kwargs": json.dumps({"endpoint_url": store, "region_name": "us-east-1"}),
            }
            variables = {**user, "ZENML_CUSTOM_SOURCE_ROOT": str(code), "STORE": json.dumps(configuration)}
            subprocess.run([sys.executable, "-c", _STACK], env=variables, check=True)

        with serve_zenml(environment, folder, address=address, register=register) as user:
            yield user


def wait_for_end(workbench: Workbench) -> dict[str, str]:
    deadline = time.monotonic() + 500
    while (statuses := workbench.statuses())["run"] not in ("completed", "failed", "stopped"):
        assert time.monotonic() < deadline, statuses
        time.sleep(1)
    return statuses


def wait_until_nothing_runs(workbench: Workbench) -> None:
    """Wait until no studio runs: template studios stay, stopped, and a controller deletes its studio after the end."""
    with Journal(workbench.journal) as journal:
        assert journal.open_leases() == []
    deadline = time.monotonic() + 240
    while "RUNNING []" not in (running := workbench.python(_RUNNING, workbench.cloud_environment)):
        assert time.monotonic() < deadline, running
        time.sleep(1)
    assert [job["name"] for job in workbench.job_records() if job["state"] not in _FINAL] == []
