"""The phases of a run's steps, the lines about them, and the summary at the end."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_native.engine.activities import Activities
from lightning_native.engine.display import lines
from lightning_native.engine.display.lines import ProgressLines
from lightning_native.engine.display.progress import Progress, read_progress
from lightning_native.engine.display.summary import summary_of
from lightning_native.engine.record.costs import CostRecord
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.record.run_journal import RunJournal

COST = CostRecord("r", "studio", "s", None, "L4", 3600.0, 1.0, None, 0.0)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    with Journal() as journal:
        yield journal


@pytest.fixture
def run(journal: Journal) -> RunJournal:
    return journal.drive("r", "p", "cloud", 1, ["load", "fit", "after"])


def seen(journal: Journal, run: RunJournal) -> Progress:
    run.flush()
    return read_progress(journal, "r")


def phases(journal: Journal, run: RunJournal) -> list[str]:
    return [step.phase for step in seen(journal, run).steps]


def test_a_step_waits_boots_is_prepared_runs_and_ends(journal: Journal, run: RunJournal) -> None:
    assert phases(journal, run) == ["waiting", "waiting", "waiting"]
    run.step_preparing("load", 1, "s", "L4")
    assert phases(journal, run)[0] == "waiting"
    # As its meter records it: with the part that has just begun.
    run.cost(COST, {"boot": 0.0})
    assert phases(journal, run)[0] == "booting"
    run.cost(COST, {"boot": 0.5, "preparation": 0.0})
    assert phases(journal, run)[0] == "preparing"
    run.step_running("load")
    assert phases(journal, run)[0] == "running"
    run.step_ended("load", "succeeded", seconds=2.0, cost=0.25)
    step = seen(journal, run).steps[0]
    assert (step.phase, step.machine, step.seconds, step.dollars) == ("succeeded", "L4", pytest.approx(2.0), 0.25)
    assert seen(journal, run).counts() == {"waiting": 2, "succeeded": 1}


def test_each_phase_is_a_line_once(journal: Journal, run: RunJournal) -> None:
    shown: list[str] = []
    progress_lines = ProgressLines(shown.append)
    progress_lines.advance(seen(journal, run))
    run.step_preparing("load", 1, "s", "L4")
    run.cost(COST)
    for _ in range(2):
        progress_lines.advance(seen(journal, run))
    run.step_ended("load", "failed", 3, "its command ended\nwith much text")
    run.step_ended("fit", "skipped", message="an upstream step failed")
    progress_lines.advance(seen(journal, run))
    assert shown[0] == "load: booting L4"
    assert len(shown) == 3
    assert shown[1].startswith("load: failed")
    assert shown[1].endswith(": its command ended")
    assert shown[2] == "fit: skipped: an upstream step failed"


def test_a_silent_run_is_heard_of(journal: Journal, run: RunJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    progress_lines = ProgressLines(shown.append)
    run.step_preparing("load", 1, "s", "L4")
    run.cost(COST.changed(ended=2.0, dollars=1.5), {"boot": 1.5})
    run.step_running("load")
    progress_lines.advance(seen(journal, run))
    shown.clear()
    progress_lines.advance(seen(journal, run))
    assert shown == []
    monkeypatch.setattr(lines, "_SILENT_SECONDS", -1.0)
    progress_lines.advance(seen(journal, run))
    (text,) = shown
    assert text.startswith("load running for ")
    assert "; 2 waiting; " in text
    assert text.endswith("; $1.50 so far")


def test_a_summary_has_counts_costs_failures_and_what_to_do(journal: Journal, run: RunJournal) -> None:
    run.step_preparing("load", 1, "s", "L4")
    run.cost(COST.changed(ended=2.0, dollars=1.5), {"boot": 0.5, "steps": 1.0})
    run.step_ended("load", "succeeded", seconds=90.0)
    run.step_ended("fit", "failed", 1, "ValueError: no")
    run.step_ended("after", "skipped")
    run.end("failed", "")
    run.flush()
    steps, cost, failed, see = summary_of(journal, "r").splitlines()
    assert steps.startswith("steps: 1 succeeded, 1 failed, 1 skipped, in ")
    assert steps.endswith("; the longest was load with 1 min 30 s")
    assert cost == "cost: $1.50 (boot $0.5000, steps $1.00)"
    assert failed == "failed: fit: ValueError: no"
    assert see.startswith("see it: lightning-native runs show r; ")


def test_an_upload_shows_how_much_of_its_file_was_sent(
    journal: Journal, run: RunJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.of("r").path
    folder.mkdir(parents=True)
    archive = tmp_path / "code.tar.gz"
    archive.write_bytes(bytes(5_000_000))
    shown: list[str] = []
    progress_lines = ProgressLines(shown.append)
    monkeypatch.setattr(lines, "_LONG_SECONDS", -1.0)
    activities = Activities(folder)
    with activities.doing("uploading the code to studio s", archive), archive.open("rb") as sent:
        sent.read(2_000_000)
        sent.seek(2_000_000)
        with activities.doing("installing what s needs"):
            for _ in range(2):
                progress_lines.advance(seen(journal, run))
    assert shown == ["uploading the code to studio s (2.0 MB of 5.0 MB)", "installing what s needs"]
    assert seen(journal, run).activities == ()
    assert list(folder.iterdir()) == []


def test_work_of_a_dead_controller_is_not_shown(journal: Journal, run: RunJournal) -> None:
    folder = RunFolder.of("r").path
    folder.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    (folder / "activities.json").write_text(json.dumps([{"text": "t", "began": 0.0, "path": None, "pid": dead.pid}]))
    assert seen(journal, run).activities == ()
