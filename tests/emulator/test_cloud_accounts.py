"""A cloud whose accounts differ: the SDK finds machines, prices and waits of each, and is refused another's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.cloud_accounts import SUPPLIES

_BEGINNING = """
import json, warnings
from lightning_sdk import Job, Machine, Studio
from lightning_sdk.utils.resolve import _resolve_teamspace
teamspace = _resolve_teamspace(None, None, None)

def answer_of(call):
    try:
        return call()
    except Exception as error:
        while error.__cause__ or error.__context__:
            error = error.__cause__ or error.__context__
        return json.loads(error.body)["message"]
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    parts = {"accounts": True, "missing_gpu_is_cpu": True}
    with LocalCloud(tmp_path_factory.mktemp("cloud"), parts=parts) as cloud:
        yield cloud


def run(cloud: LocalCloud, script: str) -> Any:
    """Run a script with the SDK in a process of its own, and return the JSON in its last line."""
    result = subprocess.run(
        [sys.executable, "-c", _BEGINNING + script],
        env={**os.environ, **cloud.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_each_account_lists_its_own_machines_with_prices_and_waits(cloud: LocalCloud) -> None:
    script = """
found = {
    account.cluster_id: {machine.slug: [machine.cost, machine.interruptible_cost, machine.wait_time]
                         for machine in teamspace.list_machines(cloud_account=account.cluster_id)}
    for account in teamspace.cloud_account_objs
}
print(json.dumps(found))
"""
    found = run(cloud, script)
    assert set(found) == set(SUPPLIES)
    assert "lit-h100-80gb-1" not in found["lightning-public-prod"]
    assert found["lightning-baremetal"]["lit-h100-80gb-1"] == [5.68, 0.0, 145.0]
    assert found["gcp-lightning-public-prod"]["lit-h100-80gb-1"][2] > 1e6
    assert found["gcp-lightning-public-prod"]["lit-l4-1"][0] > found["lightning-public-prod"]["lit-l4-1"][0]
    assert found["lightning-public-prod"]["lit-t4-1-small"][:2] == [0.55, 0.57744]
    assert "lit-t4-2" not in found["lightning-public-prod"]


def test_a_studio_that_asks_for_a_gpu_its_account_lacks_comes_up_on_a_cpu_with_a_warning(cloud: LocalCloud) -> None:
    script = """
studio = Studio("elsewhere", cloud="lightning-public-prod")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    studio.start(Machine.H100)
status = studio._studio_api.get_studio_status(studio.id, teamspace.id).in_use
seen = [str(studio.status), studio.machine.name, status.status_message, [str(each.message) for each in caught]]
studio.stop()
studio.start(Machine.L4)
seen.append(studio.machine.name)
seen.append(studio._studio_api.get_studio_status(studio.id, teamspace.id).in_use.status_message)
studio.delete()
print(json.dumps(seen))
"""
    status, machine, message, caught, other, silence = run(cloud, script)
    assert (status, machine, other, silence) == ("Running", "CPU", "L4", "")
    assert "lit-h100-1" in message
    assert "hasn't been vetted" in message
    assert any("hasn't been vetted" in text for text in caught)


def test_a_job_is_refused_a_machine_that_its_account_lacks_and_another_account(cloud: LocalCloud) -> None:
    script = """
studio = Studio("jobs", cloud="lightning-nebius-prod")
refused = answer_of(lambda: Job.run("a", Machine.H100, command="true", studio=studio))
job = Job.run("b", Machine.B200, command="echo $LIGHTNING_CLUSTER_ID", studio=studio)
job.wait(interval=0.05, timeout=300)
api = job._job_api
elsewhere = answer_of(lambda: api.submit_job(
    name="c", command="true", cloud_account="lightning-baremetal", teamspace_id=teamspace.id, studio_id=studio.id,
    image=None, machine=Machine.H100, interruptible=False, env=None, image_credentials=None, cloud_account_auth=False,
    entrypoint=None, path_mappings=None, max_runtime=None, reuse_snapshot=True,
))
image = answer_of(lambda: Job.run("d", Machine.T4, command="true", image="i:1", cloud="lightning-baremetal"))
named = answer_of(lambda: Studio("unknown", cloud="Lightning Bare Metal"))
output = str(job.logs)
studio.delete()
print(json.dumps([refused, output, elsewhere, image, named]))
"""
    refused, output, elsewhere, image, named = run(cloud, script)
    assert refused == "accelerator lit-h100-1 not found for this NEBIUS cluster"
    assert output == "lightning-nebius-prod"
    assert elsewhere == "studio jobs is on cluster lightning-nebius-prod; its jobs cannot run on lightning-baremetal"
    assert image == "accelerator lit-t4-1 not found for this MACHINE cluster"
    assert named.startswith("clusterID Lightning Bare Metal is invalid")


def test_an_a100_is_whichever_its_account_has(cloud: LocalCloud) -> None:
    script = """
studio = Studio("any-a100", cloud="gcp-lightning-public-prod")
studio.start(Machine.A100)
seen = [studio._studio_api.get_studio_status(studio.id, teamspace.id).in_use.compute_config.name]
studio.stop()
seen.append(answer_of(lambda: Job.run("e", Machine.A100_40GB_X_2, command="true", studio=studio)))
studio.delete()
print(json.dumps(seen))
"""
    machine, refused = run(cloud, script)
    assert machine in ("lit-a100-40gb-1", "lit-a100-80gb-1")
    assert refused == "accelerator lit-a100-40gb-2 not found for this GCP cluster"
