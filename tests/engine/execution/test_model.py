"""Whole runs in the cloud in memory, whose calls fail, whose uploads are damaged, and whose controllers die or race.

Invariants are checked after every call of the cloud, and the end of the run is compared with what the plan demands.
"""

import threading
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.execution.test_run_plan_properties import World, a_home, cases, check

from lightning_native.engine import retry
from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.placements import job
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios import machine_check
from lightning_native.errors import PlanError, StaleControllerError, UnreachableError
from lightning_native.lightning.copies import is_name_of_copy

Trouble = Literal["fails before", "fails after", "damage", "rival"]
# All parts together are 2,000 examples; each part is a test of its own, so that they run at the same time.
PARTS = 20
EXAMPLES = 100
_TROUBLES: list[Trouble] = ["fails before", "fails after", "damage", "rival"]


class Troubled:
    """A cloud, studio, job or pipeline with trouble at some of its calls, for a controller that may die at one."""

    def __init__(self, target: Any, world: "TroubledWorld", life: "Life") -> None:
        self._target = target
        self._world = world
        self._life = life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        return lambda *arguments, **options: self._world.call(lambda: value(*arguments, **options), self._life)


class Life:
    """The calls that one controller may still make; the threads of a dead one make none."""

    def __init__(self, calls: int) -> None:
        self._left = calls
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Count a call; the first one too many, and each after it, ends the controller."""
        with self._lock:
            self._left -= 1
            if self._left < 0:
                # The engine ends with this error, as it does when another controller has taken the run over.
                raise StaleControllerError("it is dead")

    def while_it_lasts(self, action: Callable[[], object]) -> None:
        """Act, unless the controller is dead; it does not die meanwhile."""
        with self._lock:
            if self._left >= 0:
                action()


class TroubledWorld:
    """The calls of all controllers of one run, and the trouble that each has."""

    def __init__(self, plan: RunPlan, journal: Journal, world: World, troubles: dict[int, Trouble]) -> None:
        self._plan = plan
        self._journal = journal
        self._world = world
        self._troubles = troubles
        self._calls = 0
        self._lock = threading.Lock()
        self.problems: list[str] = []

    def call(self, action: Callable[[], Any], life: Life) -> Any:
        """Carry a call of a controller out, with its trouble."""
        life.spend()
        with self._lock:
            self._calls += 1
            number = self._calls
        trouble = self._troubles.get(number)
        if trouble == "damage":
            self._world.cloud.damaged_uploads = 1
        if trouble == "rival":
            life.while_it_lasts(self._compete)
        if trouble == "fails before":
            raise UnreachableError("the connection was reset")
        result = action()
        self._check()
        if trouble == "fails after":
            raise UnreachableError("the connection was reset")
        return self._seen_through(result, life)

    def _seen_through(self, result: Any, life: Life) -> Any:
        if isinstance(result, list):
            return [self._seen_through(item, life) for item in result]
        return Troubled(result, self, life) if hasattr(result, "release") else result

    def _compete(self) -> None:
        """Let another controller try to drive the run, which this one drives."""
        try:
            with RunFolder.of(self._plan.run_id).driven():
                self.problems.append("two controllers drove the run at once")
        except PlanError:
            pass

    def _check(self) -> None:
        """Record what is wrong now, whatever happens later."""
        cloud = self._world.cloud
        with cloud.lock:
            names = [*cloud.studios, *cloud.jobs, *(each.name for each in cloud.pipelines.values())]
            of_pipelines = {job for each in cloud.pipelines.values() for job in each.status().steps}
            executions = list(self._world.executions)
        # After the names, because another thread leases before it creates.
        leased = {lease.name for lease in self._journal.leases(self._plan.run_id)}
        for name in names:
            is_known = name in leased or any(is_name_of_copy(known, name) for known in leased)
            if not is_known and not of_pipelines and not name.startswith("env-"):
                self.problems.append(f"{name} exists and has no lease")
        for step in self._plan.steps:
            if executions.count(step.name) > step.retry.count + 1:
                self.problems.append(f"{step.name} ran {executions.count(step.name)} times")


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_ends_as_its_plan_demands_whatever_fails_meanwhile(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    del part  # Each part has examples of its own, because hypothesis chooses them at random.
    # Failed calls are repeated at once, and jobs in memory advance with each poll.
    monkeypatch.setattr(retry, "waits", False)
    monkeypatch.setattr(machine_check, "_DEVICE_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(job, "_SHORTEST_POLL", 0.001)
    monkeypatch.setattr(job, "_MOST_POLLS_OF_PENDING", 1000)
    monkeypatch.setattr(job, "_MOST_POLLS", 1000)

    @settings(deadline=None, max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(cases(), st.dictionaries(st.integers(1, 60), st.sampled_from(_TROUBLES), max_size=8))
    def example(case: tuple[RunPlan, dict[str, int], list[int]], troubles: dict[int, Trouble]) -> None:
        run_and_check(*case, troubles)

    example()


def run_and_check(plan: RunPlan, failures: dict[str, int], deaths: list[int], troubles: dict[int, Trouble]) -> None:
    """Run a plan whose controllers die after so many calls each, the last one never, and check its end."""
    world = World(failures)
    with a_home() as home, Journal() as journal:
        (home / "code").mkdir()
        folder = RunFolder.of(plan.run_id)
        folder.write(plan, home / "code", {})
        folder.end_submission()
        troubled = TroubledWorld(plan, journal, world, troubles)
        state = ""
        for calls in [*deaths, 10**9]:
            cloud: Any = Troubled(world.cloud, troubled, Life(calls))
            try:
                with folder.driven():
                    state = run_plan(folder, cloud=cloud, cloud_name="memory", journal=journal).state
                break
            except StaleControllerError:
                # The death of a process would end its threads.
                for thread in threading.enumerate():
                    if thread is not threading.current_thread() and thread.daemon and thread.is_alive():
                        thread.join(0.02)
        records = {record.name: record for record in journal.steps(plan.run_id)}
        assert journal.open_leases() == []
    assert troubled.problems == []
    assert all(name.startswith("env-") for name in world.cloud.studios)
    assert not any(studio.is_running() for studio in world.cloud.studios.values())
    assert not any(".lightning-native/ops/" in file for studio in world.cloud.studios.values() for file in studio.files)
    assert (world.cloud.jobs, world.cloud.pipelines, world.cloud.drive) == ({}, {}, {})
    check(plan, failures, {name: record.state for name, record in records.items()}, world.executions)
    assert state == ("failed" if any(record.state == "failed" for record in records.values()) else "completed")
