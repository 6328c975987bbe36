"""Every public method of the SDK works against the local cloud, or is in the table of missing ones."""

import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "emulator.md"
CLASSES = ("Studio", "Job", "Pipeline", "Teamspace", "Machine", "User", "Organization")

# A script that uses the SDK in a process of its own, and prints each public name that it used, with its class.
EXERCISE = '''
import asyncio, contextlib, io, os, sys, time, warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

warnings.simplefilter("ignore")
from lightning_sdk import Job, Machine, Organization, Status, Studio, Teamspace, User
from lightning_sdk.pipeline import JobStep, Pipeline, Schedule
from lightning_sdk.teamspace import ConnectionType

used = set()

def record(cls):
    """Note every public attribute that is read from a class or its objects."""
    def of_object(self, name):
        if not name.startswith("_"):
            used.add(f"{cls.__name__}.{name}")
        return object.__getattribute__(self, name)
    cls.__getattribute__ = of_object

for cls in (Studio, Job, Pipeline, Teamspace, User, Organization):
    record(cls)

def on_class(cls, name):
    used.add(f"{cls.__name__}.{name}")
    return getattr(cls, name)

studio = Studio("surface")
assert studio.status == Status.Stopped and studio.show_progress is False
studio.start(Machine.CPU)
assert studio.id and studio.name == "surface" and studio.owner.name == "local-user" and studio.teamspace.name
assert studio.machine == Machine.CPU and studio.interruptible is False and studio.public_ip == "127.0.0.1"
assert studio.cloud_account == studio.cluster and studio.placement_group_id is None
assert studio.run("echo 1") == "1" and studio.run_with_exit_code("exit 2") == ("", 2)
assert studio.run_and_detach("echo detached", timeout=0.5, check_interval=0.2)[1] == 0
Path("folder").mkdir()
Path("folder/file").write_text("content")
studio.upload_file("folder/file", "up/file", progress_bar=False)
studio.upload_folder("folder", "up/folder", progress_bar=False)
studio.download_file("up/file", "down/file")
studio.download_folder("up", "down/up")
assert Path("down/up/folder/file").read_text() == "content"
studio.set_env({"A": "1", "B": "2"})
assert studio.env == {"A": "1", "B": "2"} and studio.run("echo $A$B") == "12"
studio.delete_env("B")
assert studio.env == {"A": "1"}
studio.auto_sleep = False
assert studio.auto_sleep is False
studio.auto_sleep_time = 1200
assert studio.auto_sleep_time == 1200
studio.auto_shutdown = True
studio.auto_shutdown_time = 600
assert studio.auto_shutdown is True and studio.auto_shutdown_time == 600
assert [port.urls for port in studio.add_ports({"web": 8080})] == [["http://127.0.0.1:8080"]]
assert [port.name for port in studio.list_ports()] == ["web"]
studio.create_assistant("assistant", 8000)
studio.switch_machine(Machine.L4, interruptible=True)
assert studio.machine == Machine.L4 and studio.interruptible is True
copy = studio.duplicate(name="surface-copy")
assert copy.run("cat up/file") == "content"
copy.rename("renamed")
assert copy.name == "renamed" and Studio("renamed", create_ok=False).id == copy.id
copy.stop()
copy.delete()

command = "echo $X; echo warn: hot; echo out > file"
job = studio.run_job("surface-job", Machine.CPU, command, env={"X": "y"}, keep_minutes=1)
job.wait(interval=0.05)
asyncio.run(job.async_wait(interval=0.05))
assert job.status == Status.Completed and job.name == "surface-job" and job.id == job.resource_id
assert job.command == command and job.machine == Machine.CPU and job.image is None and job.studio_name == "surface"
assert job.studio == studio and job.teamspace == studio.teamspace and job.link and job.artifacts_uri
assert job.started_at <= job.stopped_at and job.total_cost >= 0 and job.keep_minutes == 1
assert job.num_machines == 1 and not job.is_multi_machine and job.machines == (job,) and job.rank == 0
assert job.max_run_attempts is None and job.current_run_attempt == 1 and job.placement_group_id is None
assert job.public_ip == job.private_ip_address == "127.0.0.1"
assert str(job.logs) == "y\\nwarn: hot" and job.logs(tail=1) == "warn: hot" and job.dict()["name"] in job.json()
assert [entry.path for entry in job.list_artifacts()] == ["file"]
job.download_artifacts("artifacts")
assert Path(job.download_logs()).read_text().startswith("y\\n")
job.set_tags(["one", "two"])
assert job.tags == ("one", "two")
job.rename("surface-renamed")
long = on_class(Job, "run")("surface-long", machine="CPU", studio=studio, command="sleep 600")
long.stop()
assert long.status == Status.Stopped
several = studio.run_mmt("surface-mmt", 2, Machine.CPU, "echo $NODE_RANK")
several.wait(interval=0.05)
assert sorted(str(machine.logs) for machine in several.machines) == ["0", "1"]

pipeline = Pipeline("surface-pipeline", studio=studio)
pipeline.run([JobStep(name="a", command="true")], schedules=[Schedule("0 0 1 1 *")])
assert pipeline.name == "surface-pipeline"
os.environ["LIGHTNING_PIPELINE_ID"] = pipeline._pipeline.id
assert on_class(Pipeline, "from_env")().name == "surface-pipeline"
# The SDK's own stop() calls its client with an argument too few, whatever the server does.
with contextlib.suppress(TypeError):
    pipeline.stop()
pipeline.delete()

teamspace = studio.teamspace
assert teamspace.id and teamspace.owner.id == User("local-user").id and "surface" in [s.name for s in teamspace.studios]
assert len(teamspace.jobs) >= 3 and len(teamspace.multi_machine_jobs) == 1 and set(teamspace.tags) == {"one", "two"}
assert [found.name for found in teamspace.list_jobs(tags=["one"])] == ["surface-renamed"]
assert teamspace.cloud_accounts == teamspace.clusters
assert teamspace.cloud_account_objs and teamspace.default_cloud_account
assert teamspace.start_studios_on_interruptible is False
teamspace.set_secret("TOKEN", "value")
assert teamspace.secrets == {"TOKEN": "***REDACTED***"} and studio.run("echo $TOKEN") == "value"
teamspace.delete_secret("TOKEN")
assert teamspace.secrets == {}
teamspace.upload_file("folder/file", "drive/file", progress_bar=False)
teamspace.upload_folder("folder", "drive/folder", progress_bar=False)
assert [entry.path for entry in teamspace.list_files("drive", recursive=True)] == ["file", "folder/file"]
teamspace.download_file("drive/file", "drive-file")
teamspace.download_folder("drive", "drive-folder")
assert Path("drive-folder/folder/file").read_text() == "content"
teamspace.new_folder("fresh")
teamspace.new_connection("nfs", "fs-1", ConnectionType.EFS, region="us-east-1")
machines = teamspace.list_machines()
assert {machine.provider for machine in machines} >= {"AWS", "GCP"}
offer = teamspace.list_machines(machine="L4")[0]
told = ("accelerator_count", "cost", "family", "instance_type", "interruptible_cost", "wait_time")
for name in (*told, "interruptible_wait_time"):
    assert on_class(Machine, name) is None or getattr(offer, name) is not None
assert offer.provider and offer.interruptible_cost < offer.cost and not on_class(Machine, "is_cpu")(Machine.L4)
on_class(Machine, "provider")
assert on_class(Machine, "from_str")("L4") == Machine.L4

user = User("local-user")
user.set_secret("MINE", "value")
assert user.secrets == {"MINE": "***REDACTED***"} and studio.run("echo $MINE") == "value"
user.delete_secret("MINE")
assert user.create_teamspace("second").id in [found.id for found in user.teamspaces]
assert [found.name for found in user.organizations] == ["local-org"]
organization = Organization("local-org")
assert organization.id and organization.default_cloud_account and organization.name == "local-org"
own = organization.create_teamspace("org-second")
assert own in organization.teamspaces
other = Studio("in-the-organization", teamspace="local-org/org-second")
other.start()
assert other.run("echo $LIGHTNING_ORG/$LIGHTNING_TEAMSPACE") == "local-org/org-second"
other.delete()
for kept in teamspace.jobs:
    kept.delete()
studio.stop()
studio.delete()
print("USED", *sorted(used))
'''

INSPECT = """
from lightning_sdk import Job, Machine, Organization, Studio, Teamspace, User
from lightning_sdk.pipeline import Pipeline
for cls in (Studio, Job, Pipeline, Teamspace, Machine, User, Organization):
    names = [name for name in dir(cls) if not name.startswith("_") and not isinstance(getattr(cls, name), Machine)]
    print(*(f"{cls.__name__}.{name}" for name in names))
"""


@pytest.fixture(scope="module")
def exercised(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("surface")
    (folder / "exercise.py").write_text(textwrap.dedent(EXERCISE))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    with LocalCloud(folder / "cloud") as cloud:
        result = subprocess.run(
            [sys.executable, "exercise.py"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**inherited, **cloud.environ},
        )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return set(next(line for line in io.StringIO(result.stdout) if line.startswith("USED ")).split()[1:])


def documented(section: str) -> set[str]:
    """Return the names in a table of the page, such as `Class.name`."""
    page = PAGE.read_text()
    begin = page.index(f"### {section}")
    end = page.find("\n#", begin + 1)
    return set(re.findall(r"`((?:" + "|".join(CLASSES) + r")\.\w+)`", page[begin : None if end < 0 else end]))


def public_names() -> set[str]:
    environ = {**os.environ, "LIGHTNING_DISABLE_VERSION_CHECK": "1"}
    result = subprocess.run([sys.executable, "-c", INSPECT], check=True, capture_output=True, text=True, env=environ)
    return set(result.stdout.split())


def test_every_public_method_is_exercised_or_documented_as_not_there(exercised: set[str]) -> None:
    missing = documented("Not there")
    assert public_names() - exercised - missing == set()
    assert missing - public_names() == set()
    assert exercised & missing == set()


def test_studio_job_and_pipeline_are_all_there() -> None:
    lacking = [
        name for name in documented("Not there") if name.split(".")[0] in ("Studio", "Job", "Pipeline", "Machine")
    ]
    assert lacking == []


def test_what_is_only_recorded_is_named(exercised: set[str]) -> None:
    assert documented("Recorded only") - exercised == set()
