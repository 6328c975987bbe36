"""Jobs over time, as on the platform: what they begin with, when they end, and when their logs and costs are there."""

import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud

PARTS = {"snapshot_seconds": 60, "save_seconds": 60, "log_seconds": 240, "settle_seconds": 180, "provision_seconds": 60}
RATE = 60.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictCloud]:
    root = tmp_path_factory.mktemp("cloud")
    with LocalCloud(root, profile="platform", parts=PARTS, clock_rate=RATE) as cloud:
        yield StrictCloud(cloud)


def until(found: Callable[[], Any], *, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def studio_with(cloud: StrictCloud, **files: str) -> str:
    """Return the id of a studio that was never started, with files in its home."""
    studio: str = cloud.of_project("POST", "/cloudspaces", {"name": "source"})["id"]
    for name, content in files.items():
        home(cloud, studio).joinpath(name).write_text(content)
    return studio


def home(cloud: StrictCloud, studio: str) -> Path:
    return cloud.cloud.root / "studios" / studio / "home"


def states(cloud: StrictCloud, job: str) -> list[str]:
    """Return the states of a job until its end, without repetitions."""
    seen: list[str] = []

    def ended() -> bool:
        state = cloud.of_project("GET", f"/jobs/{job}")["state"]
        if not seen or seen[-1] != state:
            seen.append(state)
        return state in ("completed", "failed", "stopped")

    until(ended)
    return seen


def log_lines(cloud: StrictCloud, job: str) -> list[str]:
    return [entry["message"] for entry in cloud.of_project("GET", f"/page-logs?jobIds={job}")["entries"]]


def test_a_job_has_the_files_of_some_time_after_its_submission(cloud: StrictCloud) -> None:
    studio = studio_with(cloud, removed="x", kept="x")
    job = cloud.submit("ls", cloudspaceId=studio)
    (home(cloud, studio) / "removed").unlink()
    (home(cloud, studio) / "added").touch()
    assert cloud.log(job).splitlines()[-2:] == ["added", "kept"]


def test_jobs_of_one_run_share_a_snapshot(cloud: StrictCloud) -> None:
    studio = studio_with(cloud, first="x")
    one = cloud.submit("ls", cloudspaceId=studio, runId="run1")
    cloud.wait(one)
    (home(cloud, studio) / "first").rename(home(cloud, studio) / "second")
    other = cloud.submit("ls", cloudspaceId=studio, runId="run1")
    assert cloud.log(other).splitlines()[-1] == "first"


def test_a_snapshot_of_many_files_takes_longer(cloud: StrictCloud) -> None:
    few, many = studio_with(cloud), studio_with(cloud)
    for number in range(12_000):
        (home(cloud, many) / str(number)).touch()
    slow, quick = cloud.submit("true", cloudspaceId=many), cloud.submit("true", cloudspaceId=few)
    cloud.wait(quick)
    assert cloud.of_project("GET", f"/jobs/{slow}")["state"] == "pending"
    assert cloud.wait(slow)["state"] == "completed"


def test_a_studio_that_is_deleted_before_the_snapshot_fails_the_job(cloud: StrictCloud) -> None:
    studio = studio_with(cloud)
    job = cloud.submit("true", cloudspaceId=studio)
    cloud.of_project("DELETE", f"/cloudspaces/{studio}")
    ended = cloud.wait(job)
    assert (ended["state"], "was deleted before the snapshot" in ended["message"]) == ("failed", True)
    assert ended["totalCost"] == 0.0


def test_a_job_is_pending_again_while_its_outputs_are_saved(cloud: StrictCloud) -> None:
    job = cloud.submit("sleep 1; exit 3", cloudspaceId=studio_with(cloud))
    assert states(cloud, job) == ["pending", "running", "pending", "failed"]


def test_a_stop_while_outputs_are_saved_calls_the_job_stopped(cloud: StrictCloud) -> None:
    job = cloud.submit("true", cloudspaceId=studio_with(cloud))
    until(lambda: cloud.of_project("GET", f"/jobs/{job}").get("startedAt"))
    until(lambda: cloud.of_project("GET", f"/jobs/{job}")["state"] == "pending")
    cloud.of_project("PUT", f"/jobs/{job}", {"state": "stop"})
    assert cloud.wait(job)["state"] == "stopped"


def test_a_job_that_waits_for_its_snapshot_can_be_stopped_at_once(cloud: StrictCloud) -> None:
    job = cloud.submit("true", cloudspaceId=studio_with(cloud))
    cloud.of_project("PUT", f"/jobs/{job}", {"state": "stop"})
    ended = cloud.of_project("GET", f"/jobs/{job}")
    assert (ended["state"], ended.get("startedAt"), ended["totalCost"]) == ("stopped", None, 0.0)


def test_the_log_of_an_ended_job_appears_late(cloud: StrictCloud) -> None:
    job = cloud.submit("echo done", cloudspaceId=studio_with(cloud))
    until(lambda: cloud.of_project("GET", f"/jobs/{job}").get("stoppedAt"))
    assert log_lines(cloud, job) == []
    assert until(lambda: log_lines(cloud, job))[-1] == "done"


def test_the_log_begins_with_lines_of_the_platform(cloud: StrictCloud) -> None:
    lines = cloud.log(cloud.submit("echo mine", cloudspaceId=studio_with(cloud))).splitlines()
    assert lines[0] == "Snapshotting Studio"
    assert lines[1].startswith("Machine available after ")
    assert lines[2] == "mine"


def test_the_cost_settles_after_the_end_and_includes_the_time_before_the_command(cloud: StrictCloud) -> None:
    job = cloud.submit("true", cloudspaceId=studio_with(cloud))
    until(lambda: cloud.of_project("GET", f"/jobs/{job}")["state"] == "completed")
    seen: list[float] = []

    def settled() -> bool:
        seen.append(cloud.of_project("GET", f"/jobs/{job}")["totalCost"])
        return len(seen) > 50 and seen[-1] == seen[-50]

    until(settled)
    price = next(
        item["cost"]
        for item in cloud.call("GET", "/v1/core/accelerators")["accelerator"]
        if item["slugMultiCloud"] == "cpu-4"
    )
    # The time of provisioning and of saving is billed, that of the snapshot is not.
    assert seen[-1] > price * 110 / 3600
    assert seen == sorted(seen)
    assert seen[0] < 0.6 * seen[-1]


def test_artifacts_are_all_that_changed_below_home_caches_and_links_too(cloud: StrictCloud) -> None:
    command = """
        mkdir -p .cache/models __pycache__ out
        touch .cache/models/weights .hidden __pycache__/x.pyc out/data kept
        ln -s out/data link; ln -s ../kept out/up; ln -s /etc/passwd outside; ln -s ../../elsewhere above
    """
    job = cloud.submit(command, cloudspaceId=studio_with(cloud, kept="x", old="x"))
    name = cloud.wait(job)["name"]
    (folder,) = cloud.cloud.root.glob(f"drives/*/jobs/{name}")
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    files = {".cache/models/weights", ".hidden", "__pycache__/x.pyc", "kept", "out/data"}
    assert found == files | {"link", "out/up"}
    assert (folder / "link").resolve() == folder / "out" / "data"


def test_submissions_beyond_those_of_a_minute_are_refused_until_it_is_over(tmp_path: Path) -> None:
    parts = {"submissions_per_minute": 2}
    with LocalCloud(tmp_path / "cloud", parts=parts, clock_rate=RATE / 4) as local:
        cloud = StrictCloud(local)
        studio = studio_with(cloud)
        refused: list[int] = []

        def submitted() -> bool:
            try:
                cloud.submit("true", cloudspaceId=studio)
            except urllib.error.HTTPError as error:
                refused.append(error.code)
                return False
            return True

        assert [submitted(), submitted(), submitted()] == [True, True, False]
        until(submitted)
        assert set(refused) == {429}


def test_a_job_of_a_killed_server_saves_its_outputs_with_the_next(tmp_path: Path) -> None:
    parts = {"save_seconds": 3600}
    local = LocalCloud(tmp_path / "cloud", profile="platform", parts=parts, clock_rate=RATE)
    with local:
        cloud = StrictCloud(local)
        job = cloud.submit("echo x > result", cloudspaceId=studio_with(cloud))
        until(lambda: cloud.of_project("GET", f"/jobs/{job}").get("startedAt"))
        until(lambda: cloud.of_project("GET", f"/jobs/{job}")["state"] == "pending")
        local.kill()
    with LocalCloud(tmp_path / "cloud", clock_rate=RATE) as again:
        cloud = StrictCloud(again)
        assert cloud.wait(job)["state"] == "completed"
        name = cloud.of_project("GET", f"/jobs/{job}")["name"]
        assert list((again.root / "drives").glob(f"*/jobs/{name}/result"))
