"""A run survives the start of its studios: calls that block, refusals that are none, and studios that are not ready."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.runner import DRIVER, Runner
from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Setup, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.placement import PlacementName

pytestmark = pytest.mark.spread(3)

# Other limits than those for real machines, which no test waits for.
LIMITS = """
import lightning_native.lightning.studios as studios
studios._SETTLE_SECONDS, studios._RESTORE_SECONDS = {settle}, {restore}
"""
DRIVE = """
import sys
sys.path.insert(0, sys.argv[2])
import driver
sys.argv = ["driver", sys.argv[1]]
sys.exit(driver.main())
"""
STUDIOS = """
import json
from lightning_sdk import Teamspace
print(json.dumps([studio.name for studio in Teamspace().studios]))
"""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(tmp_path / "root", profile="platform", clock_rate=60) as cloud:
        yield cloud


def drive(cloud: LocalCloud, folder: RunFolder, *, settle: float = 240.0, restore: float = 1.0) -> tuple[int, str]:
    """Drive a run with other time limits; return the controller's exit code and output."""
    script = LIMITS.format(settle=settle, restore=restore) + DRIVE
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder.path), str(DRIVER.parent)],
        env={**os.environ, **cloud.environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    return result.returncode, result.stdout + result.stderr


def events(folder: RunFolder) -> list[str]:
    with Journal() as journal:
        assert journal.open_leases() == []
        return [event.text for event in journal.events(folder.path.name)]


def test_a_run_waits_for_a_studio_that_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    # Twenty real seconds, so that a busy computer asks before they are over, too.
    with LocalCloud(tmp_path / "root", profile="platform", parts={"ready_seconds": 1200}, clock_rate=60) as cloud:
        runner = Runner(cloud, tmp_path)
        step = StepPlan("one", ("python", "-c", "print('it ran')"), setup=Setup(commands=("uv --version",)))
        folder = runner.make("studio", step)
        assert runner.drive(folder) == 0
        assert runner.states(folder) == {"one": "succeeded"}
        assert any("is still being set up by Lightning; waiting until it is ready" in each for each in events(folder))


def test_a_set_up_waits_for_uv_that_refuses_to_work_with_exit_code_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    # Python works already, and uv answers the first two calls as it does in a studio that is not ready.
    prepare = r"""
    import json
    from lightning_sdk import Studio
    studio = Studio("half-ready")
    studio.start()
    refusal = 'echo >> ~/n; [ $(wc -l < ~/n) -gt 2 ] || { echo "Error: We are still setting things up"; exit 0; }'
    lines = f"'#!/bin/sh' '{refusal}' 'exec true'"
    studio.run(f"printf '%s\n' {lines} > new; chmod +x new; mv new $VIRTUAL_ENV/bin/uv")
    print(json.dumps(studio.run_with_exit_code("cat $VIRTUAL_ENV/bin/uv")[1]))
    """
    with LocalCloud(tmp_path / "root") as cloud:
        assert answer_of(cloud, prepare) == 0
        runner = Runner(cloud, tmp_path)
        setup = Setup(commands=(f"uv help; wc -l < ~/n > {runner.results / 'calls'}",))
        folder = runner.make("studio", StepPlan("one", ("true",), setup=setup), main_studio="half-ready")
        assert runner.drive(folder) == 0
        # Two refusals and one answer to the set-up's own check, then the call of the user's command.
        assert runner.lines("calls") == ["4"]


def test_a_run_gets_its_machine_although_the_switch_is_refused(cloud: LocalCloud, tmp_path: Path) -> None:
    started = """
    import json
    from lightning_sdk import Machine, Studio
    Studio("mine").start(Machine.CPU)
    print(json.dumps(True))
    """
    assert answer_of(cloud, started)
    runner = Runner(cloud, tmp_path)
    ask = 'import lightning_sdk as s; t = s.Studio("mine"); i = t._studio_api.get_studio_status(t.id, t.teamspace.id)'
    program = f"{ask}; open({str(runner.results / 'one')!r}, 'w').write(i.in_use.compute_config.name)"
    folder = runner.make("studio", StepPlan("one", ("python", "-c", program)), main_studio="mine", main_machine="L4")
    assert runner.drive(folder) == 0
    assert runner.lines("one") == ["lit-l4-1"]
    events(folder)


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_run_goes_on_although_the_start_of_its_studio_blocks_for_ever(
    cloud: LocalCloud, tmp_path: Path, placement: PlacementName
) -> None:
    cloud.faults.add("start-blocks", times=0)
    runner = Runner(cloud, tmp_path)
    folder = runner.make(placement, StepPlan("one", ("true",)))
    code, output = drive(cloud, folder)
    assert code == 0, output
    assert runner.states(folder) == {"one": "succeeded"}


def test_a_studio_that_does_not_start_in_time_fails_its_run_and_is_released(cloud: LocalCloud, tmp_path: Path) -> None:
    cloud.faults.add("boot-hangs", times=0)
    runner = Runner(cloud, tmp_path)
    folder = runner.make("studio", StepPlan("one", ("true",)))
    code, output = drive(cloud, folder, settle=3)
    assert code == 1, output
    with Journal() as journal:
        assert journal.open_leases() == []
    assert "within 0.05 minutes: it is pending" in folder.log("one", 1).read_text()
    assert answer_of(cloud, STUDIOS) == []


@pytest.mark.parametrize(
    "ending",
    ["", "trap '' TERM; ", "trap 'sleep 0.5; exit 3' TERM; ", "trap 'sleep 0.5; exit 0' TERM; "],
    ids=["by SIGTERM", "without a result", "in order", "in order with 0"],
)
def test_a_restart_of_a_studio_interrupts_its_step_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    # The session ends after ten real seconds, in the middle of the first attempt, which would go on for minutes.
    parts = {"session_seconds": 3600, "max_studios": 1}
    with LocalCloud(tmp_path / "root", parts=parts, clock_rate=360, boot_seconds=360) as cloud:
        runner = Runner(cloud, tmp_path)
        begun = runner.results / "one"
        program = f"{ending}echo begun >> {begun}; [ $(wc -l < {begun}) -gt 1 ] || sleep 600"
        folder = runner.make("studio", StepPlan("one", ("sh", "-c", program)))
        assert runner.drive(folder) == 0, events(folder)
        # A busy computer may need more than one session.
        assert len(runner.lines("one")) > 1
        assert any("was restarted by Lightning" in event for event in events(folder))


def test_a_step_whose_studio_is_stopped_for_good_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(tmp_path / "root") as cloud:
        runner = Runner(cloud, tmp_path)
        begun = runner.results / "one"
        folder = runner.make("studio", StepPlan("one", ("sh", "-c", f"echo begun >> {begun}; sleep 600")))
        process = runner.start(folder)
        runner.wait_for("one")
        stop = """
        import contextlib, json
        from lightning_sdk import Teamspace
        (studio,) = Teamspace().studios
        # The run may delete it as soon as it is stopped.
        with contextlib.suppress(Exception):
            studio.stop()
        print(json.dumps(True))
        """
        assert answer_of(cloud, stop)
        assert process.wait(240) == 1
        assert runner.lines("one") == ["begun"]
        assert not any("was restarted" in event for event in events(folder))
