import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

FINAL = ("COMPLETED", "FAILED", "STOPPED")


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return value


class Live:
    """A pipeline as the API shows it now, because the SDK has no status of pipelines."""

    def __init__(self, pipeline: Any) -> None:
        self._api, self._teamspace, self._id = pipeline._pipeline_api, pipeline._teamspace.id, pipeline._pipeline.id

    @property
    def client(self) -> Any:
        return self._api._client

    def get(self) -> Any:
        return self._api.get_pipeline_by_id(self._teamspace, self._id)

    @property
    def state(self) -> str:
        return str(self.get().state).removeprefix("PIPELINE_STATE_")

    def states(self) -> dict[str, str]:
        return {status.name: status.state for status in self.get().statuses}

    def wait(self) -> str:
        return str(wait_for(lambda: self.state in FINAL and self.state))

    def children(self) -> list[Any]:
        found = self.client.pipelines_service_list_pipelines(self._teamspace, parent_pipeline_id=self._id)
        return list(found.pipelines)


@pytest.fixture(scope="module")
def source(lightning_cloud: Any) -> Iterator[Any]:
    assert lightning_cloud.url
    import lightning_sdk

    studio = lightning_sdk.Studio(f"source-{uuid4().hex[:8]}")
    studio.start()
    yield studio
    studio.delete()


@pytest.fixture
def start(sdk: Any, source: Any, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Live]]:
    from lightning_sdk.pipeline import Pipeline

    assert sdk
    started = []

    def start(steps: list[Any], *, schedules: Any = None, **options: Any) -> Live:
        pipeline = Pipeline(f"pipeline-{uuid4().hex[:6]}", studio=source, dependency_mode="explicit", **options)
        pipeline.run(steps, schedules=schedules)
        started.append(pipeline)
        return Live(pipeline)

    yield start
    capsys.readouterr()
    for pipeline in started:
        pipeline.delete()


def step(name: str, command: str, **options: Any) -> Any:
    from lightning_sdk.pipeline import JobStep

    return JobStep(name=name, command=command, reuse_snapshot=False, **options)


def test_steps_run_after_those_they_wait_for(start: Callable[..., Live], tmp_path: Path) -> None:
    log = f"date +%s%N > {tmp_path}"
    pipeline = start(
        [
            step("load", f"{log}/load.begin; sleep 0.2; {log}/load.end"),
            step("left", f"{log}/left.begin; sleep 0.5; {log}/left.end", wait_for=["load"]),
            step("right", f"{log}/right.begin; sleep 0.5; {log}/right.end", wait_for="load", num_machines=1),
            step("join", f"{log}/join.begin", wait_for=["left", "right"]),
        ]
    )
    assert pipeline.wait() == "COMPLETED"
    assert set(pipeline.states().values()) == {"completed"}
    times = {path.name: int(path.read_text()) for path in tmp_path.iterdir()}
    assert times["load.end"] < min(times["left.begin"], times["right.begin"])
    assert max(times["left.begin"], times["right.begin"]) < min(times["left.end"], times["right.end"])
    assert times["join.begin"] > max(times["left.end"], times["right.end"])


def test_a_failure_stops_what_has_not_begun(start: Callable[..., Live]) -> None:
    steps = [step("bad", "exit 1"), step("slow", "sleep 0.5"), step("other", "true", wait_for=["slow"])]
    pipeline = start(steps)
    assert pipeline.wait() == "FAILED"
    assert pipeline.states() == {"bad": "failed", "slow": "completed", "other": "skipped"}


def test_independent_steps_go_on_after_a_failure_if_asked_for(start: Callable[..., Live]) -> None:
    steps = [
        step("bad", "exit 1"),
        step("slow", "sleep 0.3"),
        step("below", "true", wait_for=["bad"]),
        step("other", "true", wait_for=["slow"]),
    ]
    pipeline = start(steps, stop_on_failure=False)
    assert pipeline.wait() == "FAILED"
    assert pipeline.states() == {"bad": "failed", "slow": "completed", "below": "skipped", "other": "completed"}


def test_a_pipeline_is_stopped_with_its_steps(start: Callable[..., Live]) -> None:
    pipeline = start([step("long", "sleep 600"), step("never", "true", wait_for=["long"])])
    wait_for(lambda: pipeline.states()["long"] == "running")
    body = pipeline.get()
    body.state = "PIPELINE_STATE_STOP"
    pipeline.client.pipelines_service_update_pipeline(body, pipeline._teamspace, pipeline._id)
    assert pipeline.state == "STOPPED"
    assert set(pipeline.states().values()) == {"stopped"}


def test_a_step_on_several_machines(start: Callable[..., Live]) -> None:
    pipeline = start([step("many", "echo $NODE_RANK $LIGHTNING_PIPELINE_STEP", num_machines=2)])
    assert pipeline.wait() == "COMPLETED"


def test_a_deleted_pipeline_leaves_no_jobs(start: Callable[..., Live], source: Any) -> None:
    from lightning_sdk.pipeline import Pipeline

    assert start
    pipeline = Pipeline(f"gone-{uuid4().hex[:6]}", studio=source)
    pipeline.run([step("one", "sleep 600")])
    name = pipeline.name
    pipeline.delete()
    assert not [job for job in source.teamspace.jobs if job.name.startswith(f"{name}-")]
    assert Pipeline(name, studio=source).name is None


def test_a_wrong_graph_is_refused_before_anything_runs(start: Callable[..., Live], source: Any) -> None:
    before = len(source.teamspace.jobs)
    with pytest.raises(Exception, match="no machine warp-drive"):
        start([step("a", "true"), step("b", "true", machine="warp-drive", wait_for="a")])
    assert len(source.teamspace.jobs) == before


def test_a_schedule_fires_on_the_simulated_clock_in_its_time_zone(tmp_path: Path) -> None:
    # A process of its own, because the SDK reads the address of the cloud only once.
    import subprocess
    import sys

    from lightning_native.emulator import LocalCloud

    script = tmp_path / "script.py"
    script.write_text(
        """
import time
from datetime import datetime
from zoneinfo import ZoneInfo
from lightning_sdk import Studio
from lightning_sdk.pipeline import JobStep, Pipeline, Schedule

studio = Studio("scheduled")
pipeline = Pipeline("nightly", studio=studio)
schedule = Schedule("0 2 * * *", name="at-two", timezone="America/New_York")
pipeline.run([JobStep(name="step", command="true", reuse_snapshot=False)], schedules=[schedule])
api, teamspace = pipeline._pipeline_api._client, pipeline._teamspace.id

def runs():
    found = api.pipelines_service_list_pipelines(teamspace, parent_pipeline_id=pipeline._pipeline.id).pipelines
    return [run for run in found if run.state == "PIPELINE_STATE_COMPLETED"]

deadline = time.monotonic() + 240
while len(runs()) < 3 and time.monotonic() < deadline:
    time.sleep(0.1)
listed = api.schedules_service_list_schedules(teamspace).schedules[0]
# An hour passes in 0.03 seconds, so that how soon after its time a run begins says nothing.
moments = [moment.astimezone(ZoneInfo("America/New_York")) for moment in (listed.next, *(r.created_at for r in runs()))]
assert (moments[0].hour, moments[0].minute) == (2, 0), moments
assert len({moment.date() for moment in moments}) == len(moments), moments
listed.state = "paused"
api.schedules_service_update_schedule(listed, teamspace, listed.id)
total = api.schedules_service_get_schedule(teamspace, listed.id).total
time.sleep(1)
assert api.schedules_service_get_schedule(teamspace, listed.id).total == total
pipeline.delete()
assert api.schedules_service_list_schedules(teamspace).schedules == []
print("fired")
"""
    )
    # A day passes in 0.7 seconds.
    with LocalCloud(tmp_path / "root", clock_rate=120_000) as cloud:
        argv = [sys.executable, str(script)]
        result = subprocess.run(argv, check=False, capture_output=True, text=True, env=cloud_environ(cloud))
        assert "fired" in result.stdout, result.stderr


def cloud_environ(cloud: Any) -> dict[str, str]:
    import os

    return {**os.environ, **cloud.environ}
