"""Whole runs in the cloud in memory, with controllers that die at any call: the engine keeps its promises."""

import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_native import engine
from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.plan import ContainerImage, FailureMode, Retry, RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CloudError, PlanError, StaleControllerError
from lightning_native.lightning.memory import Behaviour, MemoryCloud
from lightning_native.placement import PlacementName


class World:
    """The behaviour of commands, and a record of their executions."""

    def __init__(self, failures: Mapping[str, int]) -> None:
        self.cloud = MemoryCloud(self._command)
        self.executions: list[str] = []
        self._failures = failures

    def _command(self, argv: Sequence[str], _environment: Mapping[str, str]) -> Behaviour:
        (name,) = argv
        self.executions.append(name)
        failed = self.executions.count(name) <= self._failures.get(name, 0)
        return Behaviour(exit_code=int(failed), output=f"{name}\n", looks=1)


class Controlled:
    """A cloud, studio, job or pipeline for a controller that dies at its n-th call."""

    def __init__(self, target: Any, calls_left: list[int], failing: set[int]) -> None:
        self._target = target
        self._calls_left = calls_left
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return (lambda *arguments, **options: self._call(value, arguments, options)) if callable(value) else value

    def _call(self, method: Any, arguments: Any, options: Any) -> Any:
        self._calls_left[0] -= 1
        left = self._calls_left[0]
        if left < 0:
            # A dead controller's calls have no effect. The engine catches no StaleControllerError, so it ends the run.
            raise StaleControllerError("it is dead")
        if left in self._failing:
            raise CloudError("the connection was reset")
        result = method(*arguments, **options)
        if isinstance(result, list):
            return [self._seen_through(item) for item in result]
        return self._seen_through(result)

    def _seen_through(self, result: Any) -> Any:
        return Controlled(result, self._calls_left, self._failing) if hasattr(result, "release") else result


@st.composite
def cases(draw: st.DrawFn) -> tuple[RunPlan, dict[str, int], list[int]]:
    count = draw(st.integers(1, 6))
    placement: PlacementName = draw(st.sampled_from(sorted(PLACEMENTS)))
    images = [None] if placement == "studio" else [None, ContainerImage("registry.example/tool:1")]
    steps = []
    failures = {}
    for number in range(count):
        upstream = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        name = f"s{number}"
        failures[name] = draw(st.sampled_from([0, 0, 0, 1, 2]))
        steps.append(
            StepPlan(
                name,
                (name,),
                machines=draw(st.sampled_from([(), ("L4",)])),
                upstream=tuple(f"s{other}" for other in sorted(upstream)),
                retry=Retry(draw(st.integers(0, 2))),
                image=draw(st.sampled_from(images)),
            )
        )
    mode: FailureMode = draw(st.sampled_from(get_args(FailureMode)))
    limit = draw(st.none() | st.integers(1, 3))
    plan = RunPlan(uuid.uuid4().hex, "model", tuple(steps), placement=placement, on_failure=mode, max_parallelism=limit)
    deaths = draw(st.lists(st.integers(0, 40), max_size=3))
    return plan, failures, deaths


_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own is created in it


@contextmanager
def a_home() -> Iterator[Path]:
    before = os.environ.get("LIGHTNING_NATIVE_HOME")
    # In memory, because journals of thousands of runs wait for a disk more than for anything else.
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        os.environ["LIGHTNING_NATIVE_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("LIGHTNING_NATIVE_HOME")
            if before is not None:
                os.environ["LIGHTNING_NATIVE_HOME"] = before


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_every_step_runs_after_its_upstreams_once_whoever_dies_and_nothing_is_left(
    case: tuple[RunPlan, dict[str, int], list[int]],
) -> None:
    run_and_check(*case)


def run_and_check(plan: RunPlan, failures: dict[str, int], deaths: list[int]) -> None:
    """Run a plan whose controllers die after these numbers of calls, and whose last controller does not die."""
    world = World(failures)
    with a_home() as home, Journal() as journal:
        (home / "code").mkdir()
        folder = RunFolder.of(plan.run_id)
        folder.write(plan, home / "code", {})
        state = ""
        for calls in [*deaths, 10**9]:
            cloud = Controlled(world.cloud, [calls], set())
            try:
                state = run_plan(folder, cloud=cloud, cloud_name="memory", journal=journal).state
                break
            except StaleControllerError:
                # The death of a process would end its threads, so this waits for their ends.
                for thread in threading.enumerate():
                    if thread is not threading.current_thread() and thread.daemon:
                        while not thread.is_alive() and thread in threading.enumerate():
                            # The thread is just being started.
                            time.sleep(0.001)
                        thread.join(0.5)
        records = {record.name: record for record in journal.steps(plan.run_id)}
        assert journal.open_leases() == []
    assert all(name.startswith("env-") for name in world.cloud.studios)
    assert not any(studio.is_running() for studio in world.cloud.studios.values())
    assert not any(".lightning-native/ops/" in file for studio in world.cloud.studios.values() for file in studio.files)
    assert (world.cloud.jobs, world.cloud.pipelines, world.cloud.drive) == ({}, {}, {})
    check(plan, failures, {name: record.state for name, record in records.items()}, world.executions)
    expected = "failed" if any(record.state == "failed" for record in records.values()) else "completed"
    assert state == expected


@pytest.mark.parametrize("death", range(24, 36))
def test_what_was_skipped_stays_so_if_the_controller_dies_while_it_releases(death: int) -> None:
    below = tuple(StepPlan(f"s{number}", (f"s{number}",), upstream=("s0",)) for number in range(1, 5))
    image = replace(below[-1], image=ContainerImage("registry.example/tool:1"))
    steps = (StepPlan("s0", ("s0",), retry=Retry(1)), *below[:-1], image)
    plan = RunPlan(uuid.uuid4().hex, "model", steps, placement="platform")
    run_and_check(plan, {"s0": 2, "s1": 0, "s2": 0, "s3": 0, "s4": 0}, [death])


def check(plan: RunPlan, failures: Mapping[str, int], states: Mapping[str, str], executions: list[str]) -> None:
    counts = Counter(executions)
    for step in plan.steps:
        attempts = min(failures[step.name], step.retry.count) + 1
        succeeds = failures[step.name] <= step.retry.count
        if states[step.name] == "succeeded":
            assert succeeds
            assert counts[step.name] == attempts
            for other in step.upstream:
                assert states[other] == "succeeded"
                assert max(n for n, name in enumerate(executions) if name == other) < executions.index(step.name)
        elif states[step.name] == "failed":
            assert not succeeds
            assert counts[step.name] == attempts
        else:
            assert states[step.name] in (("skipped",) if plan.on_failure != "fail_fast" else ("skipped", "stopped"))
            assert counts[step.name] == 0 or plan.on_failure == "fail_fast"
            assert "failed" in states.values()
    if plan.on_failure == "continue":
        for step in plan.steps:
            healthy = all(states[other] == "succeeded" for other in step.upstream)
            assert (states[step.name] == "skipped") is not healthy


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_single_failing_calls_neither_repeat_a_step_nor_leave_anything(
    placement: PlacementName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    (tmp_path / "code").mkdir()
    world = World({"b": 1})
    steps = (StepPlan("a", ("a",)), StepPlan("b", ("b",), upstream=("a",), retry=Retry(1)))
    calls = [10_000]
    # None of these calls is part of the set-up, whose failure fails the steps that need it.
    cloud: Any = Controlled(world.cloud, calls, {10_000 - number for number in (25, 30, 37)})
    result = engine.run(RunPlan("r", "model", steps, placement=placement), tmp_path / "code", cloud=cloud)
    assert (result.state, world.executions) == ("completed", ["a", "b", "b"]), result
    with pytest.raises(PlanError, match="there was a run 'r' before"):
        engine.run(RunPlan("r", "model", steps, placement=placement), tmp_path / "code", cloud=cloud)
