"""The journal keeps first ends, open leases and nothing else."""

import threading
from pathlib import Path

from lightning_native.engine.journal import Journal


def test_a_terminal_state_is_never_overwritten(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        journal.begin_run("r", "name", "cloud", 1, ["a"])
        journal.step_preparing("r", "a", "studio", "CPU")
        journal.step_running("r", "a")
        journal.step_ended("r", "a", "succeeded", 0)
        journal.step_ended("r", "a", "failed", 1, "late")
        journal.step_running("r", "a")
        journal.end_run("r", "completed")
        journal.end_run("r", "failed", "late")
        (step,) = journal.steps("r")
        record = journal.run("r")
    assert (step.state, step.exit_code, step.message) == ("succeeded", 0, "")
    assert record is not None
    assert (record.state, record.message) == ("completed", "")


def test_beginning_a_run_again_keeps_what_happened(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        journal.begin_run("r", "name", "cloud", 1, ["a", "b"])
        journal.step_ended("r", "a", "succeeded", 0)
        journal.begin_run("r", "name", "cloud", 2, ["a", "b"])
        assert [step.state for step in journal.steps("r")] == ["succeeded", "pending"]


def test_a_lease_is_open_until_it_is_released(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        journal.begin_run("r", "name", "cloud", 1, [])
        journal.lease("r", "studio", "one", "delete")
        journal.lease("r", "studio", "two", "stop")
        journal.released("r", "studio", "one")
        assert [(lease.name, lease.on_release) for lease in journal.open_leases()] == [("two", "stop")]
        assert len(journal.leases("r")) == 2


def test_threads_and_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    def write(number: int) -> None:
        with Journal(path) as journal:
            for step in range(20):
                journal.begin_run(f"{number}-{step}", "name", "cloud", 1, ["a"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal(path) as journal:
        assert len(journal.runs(1000)) == 160
