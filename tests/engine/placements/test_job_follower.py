"""The follower of a job finds its end, whatever the order in which state, log and words arrive."""

import json
from pathlib import Path

import pytest

from lightning_native.agent import result_mark
from lightning_native.engine.placements import job_follower
from lightning_native.engine.placements.job_follower import Ended, JobFollower
from lightning_native.engine.placements.job_output import JobOutput
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CloudError, LogUnavailableError
from lightning_native.lightning.cloud import JobEnd, JobState

WORD = "s3cret"
BEGUN = f"Snapshotting Studio\n{result_mark(WORD, 0)}{{}}\n"
OUTCOME = {"started": 1.0, "ended": 2.0, "timed_out": False, "stopped": False, "peak_memory": 1}
Log = str | CloudError
NOT_YET = LogUnavailableError("Logs are not available while the job is Pending")
NOT_UPLOADED = CloudError("the logs have not been uploaded yet")


def result(exit_code: int) -> str:
    return f"\n{result_mark(WORD, 1)}{json.dumps({**OUTCOME, 'exit_code': exit_code})}\n"


class Job:
    """A job with a script: the state, the log and the end at each poll; the last one stays."""

    name = "job"

    def __init__(self, *script: tuple[JobState, Log], end: JobEnd) -> None:
        self._script = list(script)
        self._end = end
        self._now = self._script[0]

    def state(self) -> JobState:
        self._now = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return self._now[0]

    def output(self) -> str:
        log = self._now[1]
        if isinstance(log, CloudError):
            raise log
        return log

    def end(self) -> JobEnd:
        return self._end

    def cost(self) -> float:
        return 0.0

    def stop(self) -> None:
        pass

    def release(self) -> None:
        pass


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which advances by a second at each poll."""
    now = [0.0]
    monkeypatch.setattr(job_follower.time, "monotonic", lambda: now[0])
    return now


def follow(
    job: Job, folder: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch, polls: int = 2000
) -> tuple[Ended, JobFollower]:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(folder))
    run = RunFolder.of("run")
    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / "logs").mkdir(exist_ok=True)
    follower = JobFollower(job, JobOutput(run, "step", 1, WORD))
    for _ in range(polls):
        moments[0] += 1.0
        if (ended := follower.poll()) is not None:
            return ended, follower
    raise AssertionError("the job was never called ended")


def test_a_job_that_saves_its_outputs_still_runs_and_its_late_log_has_its_result(
    tmp_path: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    script: list[tuple[JobState, Log]] = [
        ("pending", NOT_YET),
        ("running", ""),
        ("running", BEGUN),
        *[("pending", NOT_YET)] * 100,
        *[("completed", NOT_UPLOADED)] * 100,
        *[("completed", "")] * 100,
        ("completed", BEGUN + result(0)),
    ]
    job = Job(*script, end=JobEnd(has_begun=True))
    ended, follower = follow(job, tmp_path, moments, monkeypatch)
    assert ended.outcome is not None
    assert (ended.outcome.exit_code, ended.state, follower.state) == (0, "completed", "completed")


def test_a_completed_job_whose_log_never_comes_has_completed(
    tmp_path: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(("running", BEGUN), ("completed", NOT_UPLOADED), end=JobEnd(has_begun=True))
    ended, _ = follow(job, tmp_path, moments, monkeypatch)
    assert (ended.outcome, ended.state) == (None, "completed")
    assert job_follower.LOG_SECONDS < moments[0] < job_follower.LOG_SECONDS + 60


def test_the_log_of_a_failed_job_that_comes_without_a_result_ends_the_wait_soon(
    tmp_path: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(("running", BEGUN), ("failed", BEGUN + "Killed\n"), end=JobEnd(has_begun=True))
    ended, _ = follow(job, tmp_path, moments, monkeypatch)
    assert (ended.outcome, ended.state) == (None, "failed")
    assert moments[0] < 30


def test_a_job_that_never_began_has_no_log_to_wait_for(
    tmp_path: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(("pending", NOT_YET), ("failed", NOT_UPLOADED), end=JobEnd("no funds", has_begun=False))
    ended, _ = follow(job, tmp_path, moments, monkeypatch)
    assert (ended.outcome, ended.end.message, moments[0]) == (None, "no funds", 2.0)


def test_a_new_follower_of_a_job_that_saves_its_outputs_sees_that_it_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(("pending", NOT_YET), end=JobEnd(has_begun=True))
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    follower = JobFollower(job, JobOutput(RunFolder.of("run"), "step", 1, WORD))
    assert (follower.poll(), follower.state) == (None, "running")


def test_an_interrupted_job_that_printed_nothing_has_no_log_to_wait_for(
    tmp_path: Path, moments: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = JobEnd("reclaimed", interrupted=True, has_begun=True)
    ended, _ = follow(Job(("running", ""), ("failed", NOT_UPLOADED), end=end), tmp_path, moments, monkeypatch)
    assert (ended.outcome, ended.end) == (None, end)
    assert moments[0] < 30
