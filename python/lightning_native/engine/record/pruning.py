"""The removal of old runs' folders: logs, outputs and plans; the journal keeps the states, times and costs."""

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError


@dataclass(frozen=True)
class PrunableRun:
    """The folder of a run, in the order of age.

    Attributes:
        run_id: the run's id.
        name: the plan's name; empty if the journal does not know the run.
        ended: seconds since the epoch.
        size: the bytes of the folder's files.
        kept_because: the reason for which it is never pruned; empty: it may be.
    """

    run_id: str
    name: str
    ended: float
    size: int
    kept_because: str = ""


def folders_by_age(journal: Journal) -> list[PrunableRun]:
    """Return the folders of all runs, oldest first."""
    held = {lease.run_id for lease in journal.open_leases()}
    found = [_looked_at(journal, folder, held) for folder in RunFolder.all()]
    return sorted(found, key=lambda run: run.ended)


def _looked_at(journal: Journal, folder: RunFolder, held: Collection[str]) -> PrunableRun:
    run_id = folder.path.name
    record = journal.run(run_id)
    reason = ""
    if folder.is_driven():
        reason = "is driven now"
    elif record is not None and record.state == "running":
        reason = f"has not ended; end it with: lightning-native runs resume {run_id[:12]}, or lightning-native gc"
    elif run_id in held:
        reason = "still holds something at Lightning; release it with: lightning-native gc"
    elif folder.has_secrets() and not (record and record.state == "failed"):
        reason = "still has its secrets; delete them with: lightning-native gc"
    ended = (record.ended if record else None) or folder.path.stat().st_mtime
    return PrunableRun(run_id, record.name if record else "", ended, _size(folder.path), reason)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def chosen(runs: list[PrunableRun], *, older_than: float | None, keep_bytes: int | None) -> list[PrunableRun]:
    """Return the runs that are older than so many seconds, and the oldest ones beyond so many bytes in all."""
    before = time.time() - older_than if older_than is not None else float("-inf")
    total = sum(run.size for run in runs)
    found = []
    for run in runs:
        too_much = keep_bytes is not None and total > keep_bytes
        if not run.kept_because and (run.ended < before or too_much):
            found.append(run)
            total -= run.size
    return found


def prune(journal: Journal, run: PrunableRun) -> bool:
    """Remove a run's folder and its events; return False if a process drives the run now."""
    folder = RunFolder.of(run.run_id)
    try:
        with folder.driven():
            record = journal.run(run.run_id)
            if record is not None and record.state == "running":
                return False
            # The folder goes last, so that a prune that is killed meanwhile is repeated.
            with journal.transaction() as connection:
                connection.execute("DELETE FROM events WHERE run_id = ?", (run.run_id,))
            shutil.rmtree(folder.path)
    except PlanError:
        return False
    return True
