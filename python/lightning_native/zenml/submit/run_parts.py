"""The parts of a run: a dynamic run that was paused, or whose controller is gone, continues in another folder."""

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder


def newest_folder(run_id: str) -> RunFolder:
    """Return the folder of the newest part of a run."""
    folder = RunFolder.of(run_id)
    while (following := RunFolder.of(_part(run_id, folder))).path.exists():
        folder = following
    return folder


def next_folder(run_id: str) -> RunFolder:
    """Return the folder for the next part of a run: its first, if there is none yet."""
    first = RunFolder.of(run_id)
    return RunFolder.of(_part(run_id, newest_folder(run_id))) if first.path.exists() else first


def _part(run_id: str, folder: RunFolder) -> str:
    """Return the id of the part that follows the one in `folder`."""
    number = folder.path.name.removeprefix(run_id).removeprefix("-part-") or "1"
    return f"{run_id}-part-{int(number) + 1}"


def is_unfinished(folder: RunFolder) -> bool:
    """Return whether a run has begun and has not ended."""
    with Journal() as journal:
        record = journal.run(folder.path.name)
    return record is not None and record.state == "running"
