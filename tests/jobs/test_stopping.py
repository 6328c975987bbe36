"""A job that is to end is asked to until Lightning confirms it; what may go on is named with its command."""

import threading
import uuid
from collections.abc import Iterator

import pytest

from lightning_native.emulator import LocalCloud
from lightning_native.errors import JobError
from lightning_native.jobs import stopping
from lightning_native.jobs.stopping import stop_for_good
from lightning_native.jobs.submission import follow
from lightning_native.lightning.cloud import JobRequest
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.session import connect

# Longer than the SDK repeats a request.
MANY = 12


@pytest.fixture
def job(lightning_cloud: LocalCloud) -> Iterator[LightningJob]:
    """A job that would run for long."""
    cloud = connect()
    name = f"stopping-{uuid.uuid4().hex}"
    studio = cloud.create_studio(name)
    cloud.run_job(JobRequest(name, "CPU", "sleep 600", studio.name))
    (job,) = cloud.find_jobs(name)
    yield job
    lightning_cloud.faults.clear()
    job.release()
    studio.release(delete=True)


def test_a_stop_is_repeated_until_lightning_takes_it(lightning_cloud: LocalCloud, job: LightningJob) -> None:
    lightning_cloud.faults.add("status", match="PUT */jobs/*", status=503, times=MANY)
    said: list[str] = []
    stop_for_good(job, said.append)
    assert job.state() == "stopped"
    assert len(said) == 1
    assert f"waiting until Lightning takes the stop of job {job.name}" in said[0]


def test_a_job_that_may_go_on_is_named_with_the_command_that_stops_it(
    lightning_cloud: LocalCloud, job: LightningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_SECONDS", 1.0)
    lightning_cloud.faults.add("status", match="PUT */jobs/*", status=503, times=0)
    with pytest.raises(JobError, match=f"may cost money; stop it with: lightning job stop {job.name}$"):
        stop_for_good(job, lambda _line: None)


def test_a_limit_is_kept_though_a_stop_fails(lightning_cloud: LocalCloud, job: LightningJob) -> None:
    lightning_cloud.faults.add("status", match="PUT */jobs/*", status=503, times=MANY)
    shown: list[str] = []
    results = []
    thread = threading.Thread(target=lambda: results.append(follow(job, shown.append, time_limit=0.2)))
    thread.start()
    thread.join(240)
    assert [result.state for result in results] == ["stopped"]
    assert shown.count("lightning-native: stopped at its time limit of 0.2 s") == 1
