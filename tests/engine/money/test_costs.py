"""The costs of runs: what is recorded agrees with what the local cloud's account was billed."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner, own_runner
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.costs import CostSummary, costs_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepRecord
from lightning_native.placement import PlacementName

RATE = 60.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), profile="platform", clock_rate=RATE) as cloud:
        yield cloud


@pytest.fixture
def runner(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    yield from own_runner(cloud, tmp_path, monkeypatch)


def spent(cloud: LocalCloud) -> float:
    dollars: float = StrictCloud(cloud).call("GET", "/v1/users/billing/balance")["totalSpent"]
    return dollars


def price(cloud: LocalCloud) -> float:
    machines = StrictCloud(cloud).call("GET", "/v1/core/accelerators")["accelerator"]
    return float(next(item["cost"] for item in machines if item["slugMultiCloud"] == "cpu-4"))


def steps_of(folder: Any) -> dict[str, StepRecord]:
    with Journal() as journal:
        return {step.name: step for step in journal.steps(folder.path.name)}


def sleep(name: str, seconds: float, **options: Any) -> StepPlan:
    return StepPlan(name, ("sleep", str(seconds)), **options)


def test_the_cost_of_a_job_is_read_until_it_has_settled(runner: Runner, cloud: LocalCloud) -> None:
    folder = runner.make("job", sleep("first", 2), sleep("second", 12, upstream=("first",)))
    before = spent(cloud)
    assert runner.drive(folder) == 0
    steps = steps_of(folder)
    with Journal() as journal:
        records = {record.name: record for record in costs_of(journal, folder.path.name)}
    template = [record for record in records.values() if record.kind == "studio"]
    by_step = {record.step: record for record in records.values() if record.kind == "job"}
    # The time before and after the command is billed: 28 s to make the machine ready, 30 s to save.
    true_cost = (2 * RATE + 58) / 3600 * price(cloud)
    assert steps["first"].cost == pytest.approx(true_cost, rel=0.2)
    assert steps["first"].cost == by_step["first"].dollars
    # The run does not wait for the last one, whose cost is that of its time at least.
    assert (steps["second"].cost or 0) >= 12 * RATE / 3600 * price(cloud)
    total = sum(record.dollars for record in (*template, *by_step.values()))
    assert total == pytest.approx(spent(cloud) - before, rel=0.1)


def test_the_costs_of_all_attempts_are_the_steps(runner: Runner, cloud: LocalCloud) -> None:
    mark = runner.results / "mark"
    script = f"sleep 2; [ -e {shlex.quote(str(mark))} ] || {{ touch {shlex.quote(str(mark))}; exit 1; }}"
    step = StepPlan("twice", ("sh", "-c", script), retry=Retry(1))
    folder = runner.make("job", step, sleep("later", 10, upstream=("twice",)))
    assert runner.drive(folder) == 0
    with Journal() as journal:
        jobs = [record for record in costs_of(journal, folder.path.name) if record.step == "twice"]
    assert len(jobs) == 2
    assert steps_of(folder)["twice"].cost == pytest.approx(sum(job.dollars for job in jobs))
    assert sum(job.dollars for job in jobs) > 2 * (2 * RATE + 50) / 3600 * price(cloud)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_run_costs_what_the_account_was_billed(runner: Runner, cloud: LocalCloud, placement: PlacementName) -> None:
    mark = shlex.quote(str(runner.results / "mark"))
    script = f"sleep 1; [ -e {mark} ] || {{ touch {mark}; exit 1; }}"
    folder = runner.make(
        placement,
        StepPlan("twice", ("sh", "-c", script), retry=Retry(1)),
        sleep("beside", 2),
        sleep("after", 1, upstream=("twice",)),
    )
    before = spent(cloud)
    assert runner.drive(folder) == 0
    with Journal() as journal:
        cost = CostSummary.of(journal, folder.path.name)
    assert cost is not None
    assert cost.dollars == pytest.approx(spent(cloud) - before, abs=0.01)
    assert sum(cost.parts.values()) == pytest.approx(cost.dollars)
    assert {"boot", "preparation", "steps"} <= set(cost.parts)
    assert min(cost.parts.values()) >= 0
    steps = steps_of(folder)
    assert sum(step.cost or 0 for step in steps.values()) <= cost.dollars + 1e-6
    # Both attempts have slept, and were paid.
    assert steps["twice"].attempt == 2
    assert (steps["twice"].seconds or 0) >= 2
    if placement != "studio":
        assert (steps["twice"].cost or 0) >= 2 * RATE / 3600 * price(cloud)


def test_a_studio_is_paid_from_its_request_to_its_release_and_once(runner: Runner, cloud: LocalCloud) -> None:
    folder = runner.make("studio", sleep("a", 3), sleep("b", 3), sleep("c", 1, upstream=("a", "b")))
    before = spent(cloud)
    assert runner.drive(folder) == 0
    costs = [step.cost or 0.0 for step in steps_of(folder).values()]
    assert sum(costs) == pytest.approx(spent(cloud) - before, rel=0.1)
    # The two that ran together share.
    assert min(costs) > 0


def until(found: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def test_gc_records_what_a_dead_run_has_cost(runner: Runner, cloud: LocalCloud) -> None:
    folder = runner.make("job", sleep("short", 3))
    before = spent(cloud)
    controller = runner.start(folder)
    until(lambda: steps_of(folder).get("short") and steps_of(folder)["short"].state == "running")
    controller.kill()
    controller.wait()
    api = StrictCloud(cloud)
    until(lambda: all(job["state"] == "completed" for job in api.of_project("GET", "/jobs")["jobs"]))
    time.sleep(2)
    argv = [sys.executable, "-m", "lightning_native", "gc", "--yes"]
    subprocess.run(argv, env={**os.environ, **cloud.environ}, check=True, capture_output=True)
    with Journal() as journal:
        records = costs_of(journal, folder.path.name)
    assert [record for record in records if record.ended is None] == []
    assert sum(record.dollars for record in records) == pytest.approx(spent(cloud) - before, rel=0.3)


def test_a_studio_that_a_dead_controller_began_is_paid_from_there(
    runner: Runner, cloud: LocalCloud, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.parent.mkdir(exist_ok=True)
    step = StepPlan("wait", ("sh", "-c", f"until [ -e {shlex.quote(str(go))} ]; do sleep 0.1; done"))
    folder = runner.make("studio", step)
    before = spent(cloud)
    controller = runner.start(folder)
    until(lambda: steps_of(folder).get("wait") and steps_of(folder)["wait"].state == "running")
    controller.kill()
    controller.wait()
    time.sleep(3)
    go.touch()
    assert runner.drive(folder) == 0
    assert steps_of(folder)["wait"].cost == pytest.approx(spent(cloud) - before, rel=0.1)
