"""Jobs from the command line on a platform that copies their files after it has answered, and shows their logs late."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud

PARTS = {"snapshot_seconds": 300, "save_seconds": 120, "log_seconds": 360}
JOB = """
kind: job
spec:
  name: count
  infrastructure: {kind: infrastructure, type: lightning, spec: {machine: CPU}}
  runtime: {kind: runtime, type: python, spec: {scriptPathURI: count.py}}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    root = tmp_path_factory.mktemp("cloud")
    with LocalCloud(root, profile="platform", parts=PARTS, clock_rate=60) as cloud:
        yield cloud


def call(cloud: LocalCloud, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, **cloud.environ, "LIGHTNING_NATIVE_HOME": str(folder / "home")}
    argv = [sys.executable, "-m", "lightning_native", "job", *arguments]
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=400)


def uploads(cloud: LocalCloud) -> list[str]:
    """Return the names of the files of jobs in all studios."""
    folders = cloud.root.glob("studios/*/home/.lightning-native/**/*")
    return sorted(path.name for path in folders if path.is_file())


@pytest.mark.parametrize("exit_code", [0, 5])
def test_a_job_runs_and_its_late_log_is_shown(cloud: LocalCloud, tmp_path: Path, exit_code: int) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "count.py").write_text(f"print('one'); print('two'); raise SystemExit({exit_code})")
    result = call(cloud, tmp_path, "run", "job.yaml", "--json")
    assert result.returncode == (1 if exit_code else 0), result.stderr
    assert json.loads(result.stdout)["exit_code"] == exit_code
    assert result.stderr.splitlines().count("two") == 1
    assert uploads(cloud) == []


def test_the_files_of_a_detached_job_stay_until_it_has_begun(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "count.py").write_text("print('three')")
    result = call(cloud, tmp_path, "run", "job.yaml", "--detach")
    assert result.returncode == 0, result.stderr
    assert uploads(cloud) != []
    api, deadline = StrictCloud(cloud), time.monotonic() + 240
    while not all(job.get("startedAt") for job in api.of_project("GET", "/jobs")["jobs"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert call(cloud, tmp_path, "list").returncode == 0
    assert uploads(cloud) == []
    watched = call(cloud, tmp_path, "watch", result.stdout.strip())
    assert (watched.returncode, "three" in watched.stdout.splitlines()) == (0, True), watched.stderr


def test_a_submission_that_is_refused_leaves_no_files(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "count.py").write_text("print('never')")
    cloud.faults.add("status", match="POST /v1/projects/*/jobs", status=400, times=0)
    result = call(cloud, tmp_path, "run", "job.yaml")
    cloud.faults.clear()
    assert result.returncode == 1
    assert "cannot submit job" in result.stderr
    assert uploads(cloud) == []


def test_a_job_runs_on_the_account_that_has_its_machine_and_on_demand_where_that_costs_no_more(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "job.yaml").write_text(JOB.replace("machine: CPU", "machine: H100, interruptible: true"))
    (tmp_path / "count.py").write_text("print('four')")
    result = call(cloud, tmp_path, "run", "job.yaml", "--json")
    assert result.returncode == 0, result.stderr
    jobs = StrictCloud(cloud).of_project("GET", "/jobs")["jobs"]
    (job,) = [job for job in jobs if job["name"] == json.loads(result.stdout)["name"]]
    assert job["spec"]["clusterId"] != "lightning-public-prod"
    (tmp_path / "job.yaml").write_text(
        JOB.replace("machine: CPU", "machine: H100, cloud_account: lightning-public-prod")
    )
    refused = call(cloud, tmp_path, "run", "job.yaml")
    assert refused.returncode == 1
    assert "not found for this AWS cluster" in refused.stderr
