"""Steps as jobs on a platform whose jobs take their time: each runs once, and its result is found."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner, own_runner
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder

pytestmark = pytest.mark.spread(5)

PARTS = {
    "snapshot_seconds": 240,
    "save_seconds": 600,
    "log_seconds": 480,
    "settle_seconds": 120,
    "submissions_per_minute": 0,
}
RATE = 60.0


def shell(name: str, script: str, *upstream: str, **options: Any) -> StepPlan:
    return StepPlan(name, ("sh", "-c", script), upstream=upstream, **options)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    root = tmp_path_factory.mktemp("cloud")
    with LocalCloud(root, profile="platform", parts=PARTS, clock_rate=RATE) as cloud:
        yield cloud


@pytest.fixture
def runner(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    yield from own_runner(cloud, tmp_path, monkeypatch)
    api = StrictCloud(cloud)
    assert api.of_project("GET", "/jobs")["jobs"] == []
    assert [path.name for path in cloud.root.glob("studios/*/home/.lightning-native/ops/*.json")] == []


def jobs_of(cloud: LocalCloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = StrictCloud(cloud).of_project("GET", "/jobs")["jobs"]
    return found


def wait_for_running_job(cloud: LocalCloud) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while not (running := [job for job in jobs_of(cloud) if job["state"] == "running"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return running[0]


def messages(folder: RunFolder) -> dict[str, str]:
    with Journal() as journal:
        return {step.name: step.message for step in journal.steps(folder.path.name)}


def test_a_step_that_waits_for_its_outputs_to_be_saved_is_not_run_on_the_next_machine(runner: Runner) -> None:
    step = shell("once", f"echo x >> {runner.results}/once", machines=("CPU", "CPU_SMALL"))
    # Less than the outputs take to be saved.
    folder = runner.make("job", step, pending_timeout=6.0)
    assert runner.drive(folder) == 0
    assert runner.lines("once") == ["x"]


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_steps_succeed_though_their_snapshot_and_their_logs_are_late(runner: Runner, placement: Any) -> None:
    steps = [shell(name, f"echo {name} >> {runner.results}/{name}; echo out of {name}") for name in ("a", "b", "c")]
    last = shell("last", f"echo x >> {runner.results}/last", "a", "b", "c")
    folder = runner.make(placement, *steps, last)
    assert runner.drive(folder) == 0
    assert runner.states(folder) == dict.fromkeys(("a", "b", "c", "last"), "succeeded")
    assert [runner.lines(name) for name in ("a", "b", "c", "last")] == [["a"], ["b"], ["c"], ["x"]]
    assert "out of a" in folder.log("a", 1).read_text()


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_the_exit_code_of_a_failed_step_is_found_in_its_late_log(runner: Runner, placement: Any) -> None:
    script = f"echo x >> {runner.results}/tries; [ $(wc -l < {runner.results}/tries) = 2 ] || exit 7"
    folder = runner.make(placement, shell("twice", script, retry=Retry(1)), shell("fails", "exit 3"))
    assert runner.drive(folder) == 1
    assert runner.states(folder) == {"twice": "succeeded", "fails": "failed"}
    assert messages(folder)["fails"] == "its command ended with exit code 3"
    assert runner.lines("tries") == ["x", "x"]


@pytest.mark.parametrize("interruptible", [False, True])
def test_a_job_that_a_person_stops_at_lightning_is_not_run_again(
    runner: Runner, cloud: LocalCloud, interruptible: bool
) -> None:
    script = f"echo x >> {runner.results}/tries; sleep 1000"
    folder = runner.make("job", shell("stopped", script, interruptible=interruptible, retry=Retry(3)))
    driving = runner.start(folder)
    runner.wait_for("tries")
    job = wait_for_running_job(cloud)
    StrictCloud(cloud).of_project("PUT", f"/jobs/{job['id']}", {"state": "stop"})
    assert driving.wait(240) == 1
    assert runner.states(folder) == {"stopped": "stopped"}
    assert messages(folder)["stopped"].startswith("its job was stopped at Lightning, and not by this run")
    assert runner.lines("tries") == ["x"]


def test_an_interrupted_job_runs_again(runner: Runner, cloud: LocalCloud) -> None:
    cloud.faults.add("interrupt", seconds=60)
    script = f"echo x >> {runner.results}/tries; [ $(wc -l < {runner.results}/tries) = 2 ] || sleep 1000"
    folder = runner.make("job", shell("again", script, interruptible=True))
    assert runner.drive(folder) == 0
    assert runner.lines("tries") == ["x", "x"]


def test_submissions_go_on_when_lightning_takes_no_more_for_a_while(runner: Runner, cloud: LocalCloud) -> None:
    # The SDK itself tries three times.
    cloud.faults.add("status", match="POST /v1/projects/*/jobs", status=429, times=20)
    steps = [shell(name, f"echo x >> {runner.results}/{name}") for name in ("a", "b", "c")]
    folder = runner.make("job", *steps)
    assert runner.drive(folder) == 0
    assert [runner.lines(name) for name in ("a", "b", "c")] == [["x"], ["x"], ["x"]]
