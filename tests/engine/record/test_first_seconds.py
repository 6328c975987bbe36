"""A run whose submission is killed at any operation is known, and goes on or is ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.memory import MemoryCloud

SUBMISSION = Path(__file__).parents[2] / "support" / "killing" / "dying_submission.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    for name in ("USER_ID", "API_KEY", "USERNAME", "TEAMSPACE"):
        monkeypatch.setenv(f"LIGHTNING_{name}", "x")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1\n")
    return tmp_path / "home"


def test_a_killed_submission_is_shown_and_resumed_or_ended(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # `runs resume` itself, up to the process that it starts; this process drives the run instead, in memory.
    def start(_self: ControllerProcess, folder: RunFolder, *_: object, **__: object) -> None:
        with folder.driven(), Journal() as journal:
            run_plan(folder, cloud=MemoryCloud(), cloud_name="memory", journal=journal)

    monkeypatch.setattr(ControllerProcess, "__init__", start)
    monkeypatch.setattr(ControllerProcess, "wait", lambda _self: None)
    moment, ends = 0, []
    while not ends or ends[-1] != "written":
        moment += 1
        killed = subprocess.run(
            [sys.executable, str(SUBMISSION), str(moment), str(tmp_path / "code")],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with Journal() as journal:
            record = journal.run("run")
        if record is None:
            # Nothing exists yet, so nothing is lost.
            assert not list((home / "runs").glob("*"))
            ends.append("nothing")
        else:
            assert main(["runs", "show", "run"]) == 0
            assert "  a     pending" in capsys.readouterr().out
            code = main(["runs", "resume", "run"])
            errors = capsys.readouterr().err
            with Journal() as journal:
                record = journal.run("run")
            assert record is not None
            assert (code, record.state) in ((0, "completed"), (1, "failed")), errors
            assert (
                code == 0
                or "was killed before it was submitted\nhint: start it again" in errors
                or "as a plan" in errors
            )
            ends.append("written" if killed.stdout else record.state)
        subprocess.run(["rm", "-rf", str(home)], check=True)
    # While the code is packed, and afterwards, the run can go on.
    assert ends.count("completed") >= 3
    assert set(ends[ends.index("completed") :]) == {"completed", "written"}


@pytest.mark.parametrize(("command", "states"), [("resume", "succeeded"), ("gc", "succeeded"), ("gc", "failed")])
def test_a_run_whose_steps_had_all_ended_gets_their_end_and_no_other(
    home: Path, command: str, states: StepState, capsys: pytest.CaptureFixture[str]
) -> None:
    # The secrets are discarded before the end is recorded, and the controller was killed in between.
    (home / "runs" / "run").mkdir(parents=True)
    with Journal() as journal:
        run = journal.drive("run", "name", "", 1, ["a"])
        run.step_ended("a", states, 0, "no luck" if states == "failed" else "")
    assert main(["runs", "resume", "run"] if command == "resume" else ["gc", "--yes"]) == 0
    assert "killed before" not in capsys.readouterr().err
    with Journal() as journal:
        record = journal.run("run")
        assert journal.steps("run")[0].state == states
    assert record is not None
    expected = ("failed", "step a: no luck") if states == "failed" else ("completed", "")
    assert (record.state, record.message) == expected


def test_gc_ends_a_run_that_nobody_drives_and_that_holds_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal() as journal:
        journal.begin("lost", "a run", ["a"])
        journal.begin("driven", "a run", ["a"])
    (home / "runs" / "driven").mkdir(parents=True)
    with RunFolder.of("driven").driven():
        assert main(["gc", "--yes"]) == 0
    shown = capsys.readouterr()
    assert "run lost of a run, which nobody drives: to end" in shown.err
    assert "1 runs ended" in shown.out
    with Journal() as journal:
        assert [record.run_id for record in journal.running()] == ["driven"]
        assert [step.state for step in journal.steps("lost")] == ["stopped"]
    assert main(["runs", "resume", "lost"]) == 1
    assert "there is nothing to resume\nhint: run what did not succeed again with: " in capsys.readouterr().err
