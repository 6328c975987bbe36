"""A run with eight steps ends within seconds of `zenml pipeline runs stop`, in any phase."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder

pytestmark = pytest.mark.spread(6)

EIGHT = """
import time
from pathlib import Path
from zenml import pipeline, step

@step(enable_cache=False)
def wait(number: int, folder: str) -> int:
    (Path(folder) / f"up{number}").touch()
    print(f"STEP {number} IS UP", flush=True)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (Path(folder) / "go").exists():
        time.sleep(0.1)
    return number

@step(enable_cache=False)
def after(x: int) -> None:
    print("AFTER RAN")

@pipeline
def eight(folder: str) -> None:
    for number in range(8):
        result = wait(number, folder, id=f"wait{number}")
    after(result)

if __name__ == "__main__":
    meeting = Path(__file__).parent / "meeting"
    meeting.mkdir()
    eight(str(meeting))
"""
LOG = """
from lightning_native.zenml.remote_controller.log import kept_log
print(kept_log("{run_id}"))
"""
# A long limit, because the computer of the test also runs the cloud, and perhaps other tests.
LIMIT = 240


def with_settings(**settings: object) -> str:
    return EIGHT.replace("@pipeline\n", f"@pipeline(settings={{'orchestrator': {settings!r}}})\n")


def start_stop(workbench: Workbench, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    command = [
        str(Path(sys.executable).parent / "zenml"),
        "pipeline",
        "runs",
        "stop",
        workbench.newest_run(),
        "-y",
        *arguments,
    ]
    return subprocess.Popen(
        command,
        env=workbench.environment,
        cwd=workbench.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def stop(workbench: Workbench, *arguments: str) -> None:
    process = start_stop(workbench, *arguments)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output


def up(workbench: Workbench) -> int:
    return len(list((workbench.folder / "meeting").glob("up*")))


def wait_until_up(workbench: Workbench, count: int) -> None:
    deadline = time.monotonic() + 400
    while up(workbench) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("phase", "store", "placement"),
    [
        ("provisioning", "sqlite", "studio"),
        ("steps run", "sqlite", "studio"),
        ("steps run", "server", "studio"),
        ("steps run", "sqlite", "job"),
        ("steps run", "sqlite", "platform"),
    ],
)
def test_a_forced_stop_ends_everything(
    workbench: Workbench, phase: str, store: str, placement: str, request: pytest.FixtureRequest
) -> None:
    if store == "server":
        workbench.environment = request.getfixturevalue("server")
    process = workbench.start(with_settings(placement=placement, reuse_environments=False))
    workbench.wait_for(process, "is driven by process")
    wait_until_up(workbench, {"provisioning": 0, "steps run": 8}[phase])
    stop(workbench)
    # Without a wait, because the command returns after the run's end.
    statuses = workbench.statuses()
    assert set(statuses.values()) == {"stopped"}, statuses
    with Journal(workbench.journal) as journal:
        assert journal.open_leases() == []
    output, _ = process.communicate(timeout=LIMIT)
    assert "was stopped on request" in output
    assert "AFTER RAN" not in output
    if phase == "steps run":
        assert not [line for line in output.splitlines() if line.startswith("[wait") and "Traceback" in line], output
    workbench.assert_nothing_left()


@pytest.mark.parametrize("steps_up", [0, 8])
def test_a_forced_stop_of_a_run_whose_controller_is_on_lightning_ends_everything(
    workbench: Workbench, steps_up: int
) -> None:
    code, output = workbench.run(with_settings(synchronous=False))
    assert code == 0, output
    wait_until_up(workbench, steps_up)
    stop(workbench)
    # Without a wait, because the command returns after the run's end.
    statuses = workbench.statuses()
    assert set(statuses.values()) == {"stopped"}, statuses
    workbench.assert_nothing_left()
    with Journal(workbench.journal) as journal:
        run_id = journal.runs(1)[0].run_id
    assert "STEP 0 IS UP" in workbench.python(LOG.format(run_id=run_id)) or steps_up == 0


def test_a_controller_on_lightning_ends_everything_though_the_command_that_stops_it_is_killed(
    workbench: Workbench,
) -> None:
    code, output = workbench.run(with_settings(synchronous=False))
    assert code == 0, output
    wait_until_up(workbench, 8)
    stopping = start_stop(workbench, process_group=0)
    home = Path(workbench.environment["LIGHTNING_NATIVE_HOME"])
    deadline = time.monotonic() + LIMIT
    while not list((home / "cloud" / "studios").glob("*/*/.lightning-native/home/runs/*/stop")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(stopping.pid, signal.SIGKILL)
    stopping.communicate()
    while set((statuses := workbench.statuses()).values()) != {"stopped"}:
        assert time.monotonic() < deadline, statuses
        time.sleep(1)
    # The controller deletes its own studio last.
    while workbench.studios():
        assert time.monotonic() < deadline
        time.sleep(1)
    workbench.assert_nothing_left()


def test_a_stop_whose_command_is_killed_ends_everything_all_the_same(workbench: Workbench) -> None:
    process = workbench.start(EIGHT)
    workbench.wait_for(process, "is driven by process")
    wait_until_up(workbench, 8)
    stopping = start_stop(workbench)
    with Journal(workbench.journal) as journal:
        folder = RunFolder(workbench.journal.parent / "runs" / journal.runs(1)[0].run_id)
    deadline = time.monotonic() + LIMIT
    while folder.stop_requested() == "no":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stopping.kill()
    stopping.communicate()
    process.communicate(timeout=LIMIT)
    statuses = workbench.statuses()
    assert set(statuses.values()) == {"stopped"}, statuses
    workbench.assert_nothing_left()


@pytest.mark.parametrize("on_terminate", ["stop", "detach"])
def test_a_process_that_is_terminated_stops_its_run_or_lets_it_go_on(workbench: Workbench, on_terminate: str) -> None:
    process = workbench.start(with_settings(on_terminate=on_terminate))
    workbench.wait_for(process, "is driven by process")
    wait_until_up(workbench, 8)
    process.terminate()
    output, _ = process.communicate(timeout=LIMIT)
    if on_terminate == "detach":
        assert process.returncode == -signal.SIGTERM
        assert "SIGTERM: the run goes on, driven by process" in output
        (workbench.folder / "meeting" / "go").touch()
        with Journal(workbench.journal) as journal:
            deadline = time.monotonic() + LIMIT
            while (record := journal.runs(1)[0]).state == "running":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert record.state == "completed"
            while RunFolder(workbench.journal.parent / "runs" / record.run_id).is_driven():
                time.sleep(0.05)
    else:
        assert "was stopped by SIGTERM" in output
    assert set(workbench.statuses().values()) == {"completed" if on_terminate == "detach" else "stopped"}
    workbench.assert_nothing_left()


def test_a_stop_whose_controller_is_killed_has_another_one_end_everything(workbench: Workbench) -> None:
    process = workbench.start(EIGHT)
    workbench.wait_for(process, "is driven by process")
    wait_until_up(workbench, 8)
    with Journal(workbench.journal) as journal:
        controller = journal.runs(1)[0].controller
    assert controller is not None
    os.kill(controller, signal.SIGSTOP)
    stopping = start_stop(workbench)
    workbench.wait_for(stopping, "Stopping run")
    os.kill(controller, signal.SIGKILL)
    output, _ = stopping.communicate(timeout=LIMIT)
    assert stopping.returncode == 0, output
    assert "another one stops it" in output
    statuses = workbench.statuses()
    assert set(statuses.values()) == {"stopped"}, statuses
    process.communicate(timeout=LIMIT)
    workbench.assert_nothing_left()


def test_a_graceful_stop_lets_running_steps_end_and_starts_no_other(workbench: Workbench) -> None:
    process = workbench.start(EIGHT)
    workbench.wait_for(process, "is driven by process")
    wait_until_up(workbench, 8)
    stop(workbench, "--graceful")
    time.sleep(1)
    (workbench.folder / "meeting" / "go").touch()
    output, _ = process.communicate(timeout=LIMIT)
    assert "was stopped on request" in output
    statuses = workbench.statuses()
    assert statuses.pop("run") == "stopped"
    assert set(statuses.values()) == {"completed"}, statuses
    with Journal(workbench.journal) as journal:
        states = {step.name: step.state for step in journal.steps(journal.runs(1)[0].run_id)}
    assert states.pop("after") == "stopped"
    assert set(states.values()) == {"succeeded"}
    workbench.assert_nothing_left()
