"""Budgets: a run that would cost more ends at its budget, with a controller and without, and nothing is billed on."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.placement import PlacementName

# A cent is several real seconds of a CPU machine.
pytestmark = [pytest.mark.platform, pytest.mark.spread(4)]
RATE = 30.0
BUDGET = 0.10
# More than ten times what the budget pays for.
LONG = ("sleep", "100000")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), profile="platform", clock_rate=RATE) as cloud:
        yield cloud


@pytest.fixture
def runner(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    return Runner(cloud, tmp_path)


def spent(cloud: LocalCloud) -> float:
    dollars: float = StrictCloud(cloud).call("GET", "/v1/users/billing/balance")["totalSpent"]
    return dollars


def until(found: Callable[[], Any], seconds: float = 400) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def message(folder: RunFolder) -> str:
    with Journal() as journal:
        record = journal.run(folder.path.name)
    assert record is not None
    return record.message


def is_billed(cloud: LocalCloud) -> bool:
    """Return whether anything runs."""
    api = StrictCloud(cloud)
    studios = api.of_project("GET", "/cloudspaces")["cloudspaces"]
    jobs = api.of_project("GET", "/jobs")["jobs"]
    pipelines = api.of_project("GET", "/pipelines")["pipelines"]
    return (
        any("inUse" in studio["codeStatus"] for studio in studios)
        or any(job["state"] not in ("completed", "failed", "stopped") for job in jobs)
        or any(pipeline["state"].endswith("RUNNING") for pipeline in pipelines)
    )


@pytest.mark.parametrize("placement", ["job", "studio", "platform"])
def test_a_run_ends_at_its_budget_and_nothing_starts_after(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    after = StepPlan("after", ("touch", str(runner.results / "after")), upstream=("long",))
    folder = runner.make(placement, StepPlan("long", LONG), after, budget=BUDGET)
    before = spent(cloud)
    assert runner.drive(folder) == 1
    # A pipeline's steps have their shares from the beginning, because Lightning starts them.
    assert BUDGET * (0.3 if placement == "platform" else 0.5) < spent(cloud) - before <= BUDGET * 1.05
    assert "budget" in message(folder)
    assert runner.states(folder)["after"] in ("stopped", "skipped")
    assert not (runner.results / "after").exists()
    assert not is_billed(cloud)
    with Journal() as journal:
        assert journal.open_leases() == []


@pytest.mark.parametrize("placement", ["job", "studio", "platform"])
def test_a_run_ends_at_its_budget_without_its_controller(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    folder = runner.make(placement, StepPlan("long", LONG), budget=BUDGET)
    before = spent(cloud)
    controller = runner.start(folder)
    until(lambda: runner.states(folder).get("long") == "running")
    controller.kill()
    controller.wait()
    until(lambda: not is_billed(cloud))
    assert BUDGET * 0.5 < spent(cloud) - before <= BUDGET * 1.05
    # A later controller finds that nothing is left to spend, and releases all.
    assert runner.drive(folder) == 1
    assert spent(cloud) - before <= BUDGET * 1.05
    with Journal() as journal:
        assert journal.open_leases() == []


@pytest.mark.parametrize("placement", ["job", "studio"])
def test_a_run_out_of_funds_repeats_nothing_and_goes_on_after_a_top_up(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    mark = runner.results / "topped-up"
    script = f"echo x >> {runner.results}/tries; [ -e {mark} ] || sleep 100000"
    done = StepPlan("done", ("sh", "-c", f"echo x >> {runner.results}/done"))
    long = StepPlan("long", ("sh", "-c", script), upstream=("done",), interruptible=placement == "job", retry=Retry(2))
    after = StepPlan("after", ("sh", "-c", f"echo $KEY >> {runner.results}/after"), upstream=("long",))
    folder = runner.make(placement, done, long, after, variables={"after": {"KEY": "kept"}})
    controller = runner.start(folder)
    runner.wait_for("tries")
    fault = cloud.faults.add("out-of-funds")
    try:
        assert controller.wait(300) == 1
        assert runner.states(folder)["long"] == "failed"
        assert "out of funds" in message(folder)
        assert "USER_STOP_WORKLOAD_REASON_OUT_OF_FUNDS" in message(folder)
        # Nothing starts as long as there is no money, and one refusal is enough.
        assert runner.drive(folder) == 1
        assert "insufficient balance" in message(folder)
    finally:
        cloud.faults.remove(fault.id)
    mark.touch()
    assert runner.drive(folder) == 0
    assert runner.states(folder) == dict.fromkeys(("done", "long", "after"), "succeeded")
    assert (runner.lines("done"), runner.lines("tries"), runner.lines("after")) == (["x"], ["x", "x"], ["kept"])
    with Journal() as journal:
        assert journal.open_leases() == []
    assert not folder.has_secrets()
