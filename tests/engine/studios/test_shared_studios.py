"""A shared studio is stopped by the last run that uses it, and only if a run has started it."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios.sharing import delete_environment
from lightning_native.lightning.memory import MemoryCloud

ASK = """
import sys
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.leases import collect_garbage, dead_leases
from lightning_native.lightning.session import cloud_name, connect
cloud, name = connect(), sys.argv[1]
studio = cloud.find_studio(name)
"""


class MainStudio:
    """A studio with a name from its user.

    Other processes examine it, because the SDK keeps a studio in use for as long as the process that opened it lives.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self.name = f"shared-{uuid.uuid4().hex[:8]}"
        self._environ = {**os.environ, **cloud.environ}

    def ask(self, script: str) -> str:
        command = [sys.executable, "-W", "ignore", "-c", ASK + script, self.name]
        result = subprocess.run(command, env=self._environ, check=False, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def is_running(self) -> bool:
        return self.ask("print(studio is not None and studio.is_running())") == "True"


@pytest.fixture
def main_studio(runner: Runner, lightning_cloud: LocalCloud) -> Iterator[MainStudio]:
    del runner
    studio = MainStudio(lightning_cloud)
    yield studio
    studio.ask("studio and studio.release(delete=True)")


def waiting(runner: Runner, name: str, *others: str) -> StepPlan:
    """Return a step that runs until the files of all the others and `go.NAME` exist."""
    flags = " && ".join(f"test -s '{runner.results}/{flag}'" for flag in (*others, f"go.{name}"))
    script = f"echo x >>'{runner.results}/{name}'; until {flags}; do sleep 0.05; done; echo done"
    return StepPlan(name, ("sh", "-c", script))


def let_go(runner: Runner, *names: str) -> None:
    for name in names:
        (runner.results / f"go.{name}").write_text("x")


def test_the_first_of_two_runs_to_end_leaves_the_studio_to_the_other(runner: Runner, main_studio: MainStudio) -> None:
    first = runner.make("studio", waiting(runner, "one", "two"), main_studio=main_studio.name)
    second = runner.make("studio", waiting(runner, "two"), main_studio=main_studio.name)
    one = runner.start(first)
    runner.wait_for("one")
    two = runner.start(second)
    runner.wait_for("two")
    let_go(runner, "one")
    assert one.wait(timeout=240) == 0
    assert main_studio.is_running()
    with Journal() as journal:
        assert [lease.run_id for lease in journal.open_leases()] == [second.path.name]
    let_go(runner, "two")
    assert two.wait(timeout=240) == 0
    assert second.log("two").read_text() == "done\n"
    assert not main_studio.is_running()


def test_of_runs_that_end_at_once_one_stops_the_studio(runner: Runner, main_studio: MainStudio) -> None:
    names = ("one", "two", "three")
    steps = [waiting(runner, name, *names) for name in names]
    runs = [runner.start(runner.make("studio", step, main_studio=main_studio.name)) for step in steps]
    let_go(runner, *names)
    assert [run.wait(timeout=240) for run in runs] == [0, 0, 0]
    assert not main_studio.is_running()


def test_a_studio_that_somebody_had_started_goes_on(runner: Runner, main_studio: MainStudio) -> None:
    main_studio.ask("cloud.create_studio(name).start(None)")
    assert runner.drive(runner.make("studio", StepPlan("a", ("true",)), main_studio=main_studio.name)) == 0
    assert main_studio.is_running()


def test_a_run_of_another_computer_keeps_the_studio_and_stops_it_at_its_own_end(
    runner: Runner, main_studio: MainStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runner.make("studio", waiting(runner, "one", "two"), main_studio=main_studio.name)
    one = runner.start(first)
    runner.wait_for("one")
    with monkeypatch.context() as other:
        other.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "other"))
        second = runner.make("studio", waiting(runner, "two"), main_studio=main_studio.name)
        two = runner.start(second)
    runner.wait_for("two")
    let_go(runner, "one")
    assert one.wait(timeout=240) == 0
    assert main_studio.is_running()
    let_go(runner, "two")
    assert two.wait(timeout=240) == 0
    assert not main_studio.is_running()


def test_a_studio_that_was_stopped_between_two_steps_is_started_again(runner: Runner, main_studio: MainStudio) -> None:
    stop = waiting(runner, "one")
    after = StepPlan("after", ("sh", "-c", f"echo x >>'{runner.results}/after'"), upstream=("one",))
    first = StepPlan("zero", ("sh", "-c", f"echo x >>'{runner.results}/zero'"))
    # A studio of its own for this step, so that nothing runs in the main studio while that is stopped.
    apart = StepPlan("one", stop.argv, machines=("L4",), upstream=("zero",))
    run = runner.start(runner.make("studio", first, apart, after, main_studio=main_studio.name))
    runner.wait_for("one")
    main_studio.ask("studio.release(delete=False)")
    let_go(runner, "one")
    assert run.wait(timeout=240) == 0
    assert runner.lines("after") == ["x"]
    assert not main_studio.is_running()


def test_the_debt_of_a_killed_run_is_paid_by_the_other_or_by_gc(runner: Runner, main_studio: MainStudio) -> None:
    killed = runner.make("studio", waiting(runner, "one"), main_studio=main_studio.name)
    one = runner.start(killed)
    runner.wait_for("one")
    second = runner.make("studio", waiting(runner, "two"), main_studio=main_studio.name)
    two = runner.start(second)
    runner.wait_for("two")
    one.send_signal(signal.SIGKILL)
    one.wait(timeout=60)
    gc = "journal = Journal(); leases = dead_leases(journal, cloud_name()); released, failed = "
    gc += "collect_garbage(journal, cloud, leases); print(*[lease.run_id for lease in released], failed)"
    assert main_studio.ask(gc) == f"{killed.path.name} []"
    # The second run uses the studio, so it must not be stopped.
    assert main_studio.is_running()
    let_go(runner, "two")
    assert two.wait(timeout=240) == 0
    assert not main_studio.is_running()


def test_the_machine_is_not_switched_under_a_running_run(runner: Runner, main_studio: MainStudio) -> None:
    first = runner.make("studio", waiting(runner, "one"), main_studio=main_studio.name)
    one = runner.start(first)
    runner.wait_for("one")
    second = runner.make("studio", StepPlan("two", ("true",)), main_studio=main_studio.name, main_machine="L4")
    assert runner.drive(second) == 1
    with Journal() as journal:
        (step,) = journal.steps(second.path.name)
    assert f"switching it would end run {first.path.name}" in step.message
    let_go(runner, "one")
    assert one.wait(timeout=240) == 0
    assert not main_studio.is_running()


def test_an_environment_that_a_run_uses_is_not_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    cloud = MemoryCloud()
    folder = RunFolder.of("run")
    folder.path.mkdir(parents=True)
    with Journal() as journal:
        run = journal.drive("run", "name", "memory", 1, [])
        cloud.create_studio("env-a")
        journal.environment_used("memory", "f" * 64, "env-a", ready=True)
        run.use("env-a")
        (environment,) = journal.environments("memory")
        with folder.driven():
            assert not delete_environment(journal, cloud, environment)
            assert list(cloud.studios) == ["env-a"]
        assert delete_environment(journal, cloud, environment)
        assert not cloud.studios
        assert journal.environments("memory") == []
