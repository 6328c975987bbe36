"""A run has one controller, and every end of a controller is recorded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_native.engine.cancellation import STOPPED
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.process.controller import RunObserver, control
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.errors import PlanError, UnreachableError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    for name in [name for name in os.environ if name.startswith("LIGHTNING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    # An address without a server, so that a sign-in fails at once.
    monkeypatch.setenv("LIGHTNING_CLOUD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    code = tmp_path / "code"
    code.mkdir()
    folder = RunFolder.of("0123")
    folder.write(RunPlan("0123", "a run", (StepPlan("a", ("true",)),)), code, {"a": {"TOKEN": "secret"}})
    return folder


def call(folder: RunFolder) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "lightning_native.engine.process.controller", str(folder.path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)


def test_a_second_controller_leaves_the_run_to_the_first(folder: RunFolder) -> None:
    with folder.driven():
        result = call(folder)
        assert result.returncode == 1
        assert "is driven by another process already" in result.stderr
        assert folder.variables() == {"a": {"TOKEN": "secret"}}
    with Journal() as journal:
        record = journal.run("0123")
    # The record is still the one of the submission.
    assert record is not None
    assert (record.state, record.controller) == ("running", None)


def test_a_run_that_cannot_be_driven_is_recorded_as_failed_without_its_secrets(folder: RunFolder) -> None:
    assert call(folder).returncode == 1
    with Journal() as journal:
        record = journal.run("0123")
    assert record is not None
    assert record.state == "failed"
    assert "CredentialsError" in record.message
    with Journal() as journal:
        assert [(step.state, step.message) for step in journal.steps("0123")] == [("failed", record.message)]
    assert not list(folder.path.glob("environments.json"))


def test_an_observer_that_fails_harms_nobody(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[tuple[str, str]] = []

    class Failing(RunObserver):
        def step_ended(self, name: str, result: StepResult) -> None:
            heard.append((f"{name} {result.state}", result.message))
            raise RuntimeError("the store is down")

        def run_ended(self, state: RunState, message: str) -> None:
            heard.append((state, message))
            raise RuntimeError("the store is down")

    def refuse() -> None:
        raise PlanError("no way")

    monkeypatch.setattr("lightning_native.engine.process.controller.connect", refuse)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert control(folder.path, None, Failing()) == 1
    assert heard == [("a failed", "PlanError: no way"), ("failed", "PlanError: no way")]
    assert "the store is down" in capsys.readouterr().err


def test_the_end_of_a_run_is_reported_where_no_journal_can_be_written(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[str, str]] = []

    class Observer(RunObserver):
        def step_ended(self, name: str, result: StepResult) -> None:
            ended.append((name, result.state))

        def run_ended(self, state: RunState, message: str) -> None:
            ended.append(("run", state))
            assert "not a database" in message

    journal = folder.path.parents[1] / "journal.db"
    for file in journal.parent.glob("journal.db*"):
        file.unlink()
    journal.write_bytes(b"not a journal" * 1000)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert control(folder.path, None, Observer()) == 1
    assert ended == [("a", "failed"), ("run", "failed")]
    assert not list(folder.path.glob("environments.json"))


def test_a_run_that_is_stopped_while_its_sign_in_is_repeated_was_stopped(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        folder.request_stop(graceful=False)
        raise UnreachableError("an outage")

    monkeypatch.setattr("lightning_native.engine.process.controller.connect", fail)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert control(folder.path, None, RunObserver()) == 1
    with Journal() as journal:
        record, steps = journal.run("0123"), journal.steps("0123")
    assert record is not None
    assert (record.state, record.message) == ("stopped", STOPPED)
    assert [(step.state, step.message) for step in steps] == [("stopped", STOPPED)]
