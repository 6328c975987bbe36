"""The journal keeps a step's first end and open leases, and accepts only one controller's writes about a run."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.errors import StaleControllerError


def test_a_terminal_state_is_never_overwritten(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        run = journal.drive("r", "name", "cloud", 1, ["a"])
        run.step_preparing("a", 1, "studio", "CPU")
        run.step_running("a")
        run.step_ended("a", "succeeded", 0)
        run.step_ended("a", "failed", 1, "late")
        run.step_running("a")
        run.end("completed")
        run.end("failed", "late")
        (step,) = journal.steps("r")
        record = journal.run("r")
    assert (step.state, step.exit_code, step.message) == ("succeeded", 0, "")
    assert record is not None
    assert (record.state, record.message) == ("completed", "")


def test_driving_a_run_again_keeps_what_happened(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        journal.drive("r", "name", "cloud", 1, ["a", "b"]).step_ended("a", "succeeded", 0)
        journal.drive("r", "name", "cloud", 2, ["a", "b"])
        assert [step.state for step in journal.steps("r")] == ["succeeded", "pending"]


def test_a_controller_whose_run_was_taken_over_cannot_write(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        stale = journal.drive("r", "name", "cloud", 1, ["a"])
        new = journal.drive("r", "name", "cloud", 2, ["a"])
        for write in (
            lambda: stale.step_preparing("a", 1, "studio", None),
            lambda: stale.step_ended("a", "failed"),
            lambda: stale.lease("studio", "one", on_release="delete"),
            lambda: stale.end("failed"),
            lambda: stale.event("x"),
        ):
            with pytest.raises(StaleControllerError):
                # Records about steps are written together with the next record.
                (write(), stale.flush())
        new.step_ended("a", "succeeded", 0)
        assert [step.state for step in journal.steps("r")] == ["succeeded"]
        assert journal.leases("r") == []


def test_a_lease_is_open_until_it_is_released_and_can_be_taken_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        run = journal.drive("r", "name", "cloud", 1, [])
        run.lease("studio", "one", on_release="delete")
        run.lease("studio", "two", on_release="stop")
        run.released("studio", "one")
        assert [(lease.name, lease.on_release) for lease in journal.open_leases()] == [("two", "stop")]
        run.lease("studio", "one", on_release="delete")
        assert {lease.name for lease in journal.open_leases()} == {"one", "two"}


def test_durations_of_past_runs_are_medians_of_what_succeeded(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        for number in range(3):
            run = journal.drive(f"r{number}", "name", "cloud", 1, ["a", "b"])
            run.step_preparing("a", 1, "studio", None)
            run.step_running("a")
            run.step_ended("a", "succeeded", 0)
            run.step_ended("b", "failed", 1)
        durations = journal.step_durations("name")
        assert set(durations) == {"a"}
        assert 0 <= durations["a"] < 60
        assert journal.step_durations("other") == {}


def test_threads_and_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    def write(number: int) -> None:
        with Journal(path) as journal:
            for step in range(20):
                journal.drive(f"{number}-{step}", "name", "cloud", 1, ["a"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal(path) as journal:
        assert len(journal.runs(1000)) == 160
        assert len(journal.runs_like("3-1")) == 11


def test_a_new_journal_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(100):
        path = tmp_path / f"{number}.db"
        at_once = threading.Barrier(8)

        def open_journal(_: int, path: Path = path, at_once: threading.Barrier = at_once) -> None:
            at_once.wait()
            Journal(path).close()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(open_journal, range(8)))


def test_uploads_that_were_not_used_for_long_are_told_but_for_the_last_few(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        for path in ("a", "b", "c"):
            journal.uploaded("cloud", "studio", path, "0")
        journal.uploaded("cloud", "studio", "a", "1")
        assert journal.is_uploaded("cloud", "studio", "a", "1")
        assert not journal.is_uploaded("cloud", "studio", "a", "0")
        assert journal.unused_uploads("cloud", "studio", unused_seconds=0, keep=2) == ["b"]
        assert journal.unused_uploads("cloud", "studio", unused_seconds=60, keep=2) == []
        journal.upload_removed("cloud", "studio", "b")
        assert journal.unused_uploads("cloud", "studio", unused_seconds=0, keep=2) == []


def test_what_is_told_of_steps_is_seen_at_once_and_by_others_in_a_moment(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal, Journal(tmp_path / "journal.db") as other:
        run = journal.drive("r", "name", "cloud", 1, ["a"])
        run.step_preparing("a", 1, "place", None)
        assert journal.steps("r")[0].state == "preparing"
        run.step_running("a")
        deadline = time.monotonic() + 120
        while other.steps("r")[0].state != "running":
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_controller_that_was_replaced_hears_of_it_with_what_it_tells_of_steps(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db") as journal:
        stale = journal.drive("r", "name", "cloud", 1, ["a"])
        journal.drive("r", "name", "cloud", 2, ["a"])
        stale.step_preparing("a", 1, "stale", None)
        with pytest.raises(StaleControllerError):
            stale.flush()
        with pytest.raises(StaleControllerError):
            stale.step_running("a")
        assert journal.steps("r")[0].place is None


def test_what_a_thread_writes_into_a_closed_journal_is_refused_and_what_it_wrote_before_is_kept(tmp_path: Path) -> None:
    # A thread whose timer had begun a transaction would fail outside all calls, as a warning that ends the tests.
    for number in range(15):
        path = tmp_path / f"{number}.db"
        journal = Journal(path)
        run = journal.drive("r", "name", "cloud", 1, [])
        accepted: list[str] = []

        def write(run: RunJournal = run, accepted: list[str] = accepted) -> None:
            with suppress(StaleControllerError):
                for event in map(str, itertools.count()):
                    run.event(event)
                    accepted.append(event)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.05 + number / 3_000)
        journal.close()
        thread.join()
        with Journal(path) as again:
            assert [event.text for event in again.events("r")] == accepted
    with pytest.raises(StaleControllerError):
        run.event("late")
