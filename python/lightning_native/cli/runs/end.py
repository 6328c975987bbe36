"""The end of a run in ZenML, for a run whose controller is gone with its studio and its journal."""

import os

from lightning_native.engine.record.controller_location import CONTROLLER_STEP, ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord


def record_end(journal: Journal, record: RunRecord, location: ControllerLocation) -> None:
    """Record the end of a run in this machine's journal if ZenML has it; otherwise, the run stays as it is."""
    try:
        from lightning_native.zenml.remote_controller.end import published_end
    except ImportError:
        return
    end = published_end(record.run_id, location)
    if end is None:
        return
    run_journal = journal.drive(record.run_id, record.name, record.cloud, os.getpid(), list(end.steps))
    run_journal.step_ended(CONTROLLER_STEP, "succeeded" if end.state == "completed" else end.step_state)
    for name, state in end.steps.items():
        run_journal.step_ended(name, state)
    run_journal.end(end.state, end.message)


def kept_log(run_id: str) -> str | None:
    """Return the log that a controller has kept beside ZenML's artifacts; None if there is none."""
    try:
        from lightning_native.zenml.remote_controller.log import kept_log as kept
    except ImportError:
        return None
    return kept(run_id)
