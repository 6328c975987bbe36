"""Requests with a lost answer: everything that they created is found again by its name, and released."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Schedule, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.session import connect
from lightning_native.placement import PlacementName

GC = """
import json
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.leases import collect_garbage, dead_leases
from lightning_native.lightning.session import cloud_name, connect
with Journal() as journal:
    leases = dead_leases(journal, cloud_name())
    released, failed = collect_garbage(journal, connect(), leases)
print(json.dumps([len(released), len(failed)]))
"""


@pytest.fixture
def cloud(lightning_cloud: LocalCloud) -> Iterator[LocalCloud]:
    before = set(connect().studio_names())
    yield lightning_cloud
    lightning_cloud.faults.clear()
    new = set(connect().studio_names()) - before
    # Template studios are kept for the next run, each once.
    assert not any(f"{name}-2" in new or f"{name}-3" in new for name in new), new


def step(runner: Runner) -> StepPlan:
    return StepPlan("count", ("sh", "-c", f"echo x >>'{runner.results}/count'"))


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
@pytest.mark.parametrize("times", [2, 3, 5])
def test_studios_that_were_created_without_an_answer_are_used_or_deleted(
    runner: Runner, cloud: LocalCloud, placement: PlacementName, times: int
) -> None:
    cloud.faults.add("status", match="POST */cloudspaces", status=503, after_accept=True, times=times)
    folder = runner.make(placement, step(runner), reuse_environments=False)
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x"]


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_gc_deletes_those_of_a_controller_that_was_killed_meanwhile(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    cloud.faults.add("status", match="POST */cloudspaces", status=503, after_accept=True, times=0)
    before = len(connect().studio_names())
    # The unique command gives the run a template studio of its own.
    folder = runner.make(placement, step(runner), custom_commands=(f": {uuid.uuid4()}",))
    process = runner.start(folder)
    # The first studio has been created, and the SDK has repeated its request.
    while len(connect().studio_names()) < before + 2:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    cloud.faults.clear()
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GC],
        env={**os.environ, **cloud.environ},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert json.loads(result.stdout) == [1, 0]


def test_what_may_be_somebody_else_s_is_named_and_left_alone(runner: Runner, cloud: LocalCloud) -> None:
    main = f"lost-{uuid.uuid4().hex[:8]}"
    try:
        connect().create_studio(f"{main}-2")
        cloud.faults.add("status", match="POST */cloudspaces", status=503, after_accept=True, times=2)
        folder = runner.make("studio", step(runner), main_studio=main)
        assert runner.drive(folder) == 0
        with Journal() as journal:
            events = " | ".join(event.text for event in journal.events(folder.path.name))
        assert f"studio {main}-3 was created together with {main}" in events
        assert f"{main}-2 was created" not in events
        assert f"{main}-2" in connect().studio_names()
        assert f"{main}-3" in connect().studio_names()
        assert f"{main}-4" not in connect().studio_names()
    finally:
        for studio in connect().find_studios(main):
            studio.release(delete=True)


@pytest.mark.parametrize(
    ("match", "times"), [("POST */jobs", 3), ("POST */pipelines", 3), ("POST */schedules", 2), ("PUT /storage/*", 3)]
)
def test_nothing_is_run_twice_or_left_of_other_things_either(
    runner: Runner, cloud: LocalCloud, match: str, times: int
) -> None:
    cloud.faults.add("status", match=match, status=503, after_accept=True, times=times)
    scheduled = match == "POST */schedules"
    folder = runner.make(
        "job" if match == "POST */jobs" else "platform",
        step(runner),
        schedule=Schedule("lost", "0 0 29 2 *") if scheduled else None,
    )
    assert runner.drive(folder) == 0
    if scheduled:
        schedules = connect().schedules()
        assert [schedule.name for schedule in schedules] == ["lost"]
        script = "from lightning_native.engine.schedules import find_schedule; "
        script += "from lightning_native.lightning.session import connect; find_schedule(connect(), 'lost').delete()"
        subprocess.run([sys.executable, "-c", script], env={**os.environ, **cloud.environ}, check=True, timeout=300)
    else:
        assert runner.lines("count") == ["x"]
