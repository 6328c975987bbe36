"""A ZenML schedule is Lightning's: it runs by itself, is paused, changed and deleted by ZenML's own command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.search import files_below
from tests.support.workbench import Workbench

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.spread(5)

# Five minutes pass in twelve seconds, which leaves a step of ZenML's time to import itself.
RATE = 25

PIPELINE = """
from zenml import pipeline, step
from zenml.config.schedule import Schedule

@step(enable_cache=False)
def first() -> int:
    return 1

@step(enable_cache=False)
def second(x: int) -> int:
    return x + 1

@pipeline
def nightly() -> None:
    second(first())

if __name__ == "__main__":
    nightly.with_options(schedule=Schedule(name="often", cron_expression="*/5 * * * *"))()
"""
# A wait in one process, because repeated starts of ZenML would take the time that the runs need.
LOOK = """
import json, time
from zenml.client import Client

def completed():
    runs = Client().list_pipeline_runs(pipeline="{pipeline}", size=100, hydrate=True).items
    assert {{run.status.value for run in runs}} <= {{"initializing", "running", "completed"}}, runs
    return [run for run in runs if run.status.value == "completed"]

deadline = time.monotonic() + 400
while len(completed()) < {count}:
    assert time.monotonic() < deadline, completed()
    time.sleep(1)
print("RUNS", json.dumps([[run.orchestrator_run_id, run.schedule.name] for run in completed()]))
"""

# Runs that have begun before a pause continue; no run begins for more than a schedule's interval after it.
PAUSED = """
import time
from lightning_native.engine.schedules import list_schedules
from lightning_native.lightning.session import connect

(scheduled,) = list_schedules(connect())
deadline = time.monotonic() + 400
while any(run.state() == "running" for run in scheduled.runs()):
    assert time.monotonic() < deadline
    time.sleep(0.5)
before = len(scheduled.runs())
time.sleep(13)
assert len(scheduled.runs()) == before
print("RUNS", before)
"""


def zenml(workbench: Workbench, *arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "zenml"), "pipeline", "schedule", *arguments]
    result = subprocess.run(
        command, env=workbench.environment, capture_output=True, text=True, check=False, cwd=workbench.folder
    )
    assert result.returncode == 0, result.stdout + result.stderr


def completed(workbench: Workbench, count: int = 0, pipeline: str = "nightly") -> list[list[str]]:
    """Return the id and the schedule of each completed run, once there are as many as expected."""
    look = LOOK.format(count=count, pipeline=pipeline)
    runs: list[list[str]] = json.loads(workbench.python(look).split("RUNS ")[1])
    return runs


# Six steps of ZenML's, one after the other.
@pytest.mark.timeout(1200)
def test_a_schedule_runs_three_times_is_paused_changed_and_deleted(
    zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    environment = {**zenml_home[0], "LIGHTNING_NATIVE_HOME": str(tmp_path / "home")}
    with LocalCloud(tmp_path / "home" / "cloud", clock_rate=RATE) as cloud:
        workbench = Workbench(environment, cloud.environ, tmp_path / "code")
        code, output = workbench.run(PIPELINE)
        assert code == 0, output
        runs = completed(workbench, 3)
        # Each run has an id of its own, which its jobs share.
        assert len({run[0] for run in runs}) == len(runs)
        assert {run[1] for run in runs} == {"often"}

        zenml(workbench, "deactivate", "often")
        before = int(workbench.python(PAUSED, cloud.environ).split("RUNS ")[1])
        assert len(completed(workbench)) == before

        zenml(workbench, "update", "often", "--cron-expression", "*/7 * * * *")
        listed = workbench.python(
            "from lightning_native.engine.schedules import list_schedules\n"
            "from lightning_native.lightning.session import connect\n"
            "print([(s.name[:5], s.cron, s.paused) for s in list_schedules(connect())])",
            cloud.environ,
        )
        assert listed.strip() == "[('often', '*/7 * * * *', True)]"
        zenml(workbench, "activate", "often")
        completed(workbench, before + 1)

        zenml(workbench, "delete", "often", "-y")
        workbench.assert_nothing_left()


IN_IMAGES = """
from zenml import pipeline, step
from zenml.config import DockerSettings
from zenml.config.schedule import Schedule

@step(enable_cache=False)
def first() -> str:
    import helper
    return helper.ANSWER

@step(enable_cache=False)
def second(x: str) -> str:
    return x + "!"

base = DockerSettings(parent_image="registry.example/base:1", skip_build=True)

@pipeline(settings={"docker": base, "orchestrator": {"packaging": "image", "image_credentials": "registry-login"}})
def scheduled_images() -> None:
    second(first())

if __name__ == "__main__":
    scheduled_images.with_options(schedule=Schedule(name="in images", cron_expression="*/5 * * * *"))()
"""


@pytest.mark.timeout(1200)
def test_steps_of_a_schedule_run_in_their_images_and_what_they_mount_goes_with_it(
    zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    environment = {**zenml_home[0], "LIGHTNING_NATIVE_HOME": str(tmp_path / "home")}
    with LocalCloud(tmp_path / "home" / "cloud", clock_rate=RATE) as cloud:
        workbench = Workbench(environment, cloud.environ, tmp_path / "code")
        workbench.write("helper.py", "ANSWER = 'from the code'")
        code, output = workbench.run(IN_IMAGES)
        assert code == 0, output
        completed(workbench, 1, "scheduled_images")
        values = workbench.python(
            "from zenml.client import Client\n"
            "run = Client().list_pipeline_runs(pipeline='scheduled_images', status='completed', hydrate=True)[0]\n"
            "print('VALUE', run.steps['second'].output.load())\n"
        )
        assert "VALUE from the code!" in values
        records = [each["spec"] for each in workbench.job_records()]
        assert {(spec["image"], spec["imageSecretRef"], spec["cloudspaceId"]) for spec in records} == {
            ("registry.example/base:1", "registry-login", "")
        }
        drive = tmp_path / "home" / "cloud" / "drives"
        assert [path.name for path in files_below(drive) if path.suffix == ".json"] != []
        zenml(workbench, "delete", "in images", "-y")
        assert [path.name for path in files_below(drive) if path.suffix in (".json", ".py")] == []
        workbench.assert_nothing_left()
