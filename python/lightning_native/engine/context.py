"""The context of one run, as every part below the run receives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.run_folder import RunFolder, StepLog
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.resource_names import operation_id
from lightning_native.lightning.cloud import Cloud


@dataclass(frozen=True)
class RunContext:
    """The plan of one run, and the objects that its placement needs."""

    plan: RunPlan
    cloud: Cloud
    cloud_name: str
    journal: RunJournal
    folder: RunFolder
    variables: Mapping[str, Mapping[str, str]]
    cancellation: Cancellation
    abandoned: dict[str, str] = field(default_factory=dict)
    """The steps whose running attempt is abandoned, each with the reason."""

    def operation_id(self, name: str, attempt: int) -> str:
        """Return the id of an attempt's operation, which is the same after a restart of the controller."""
        return operation_id(self.plan.run_id, name, attempt)

    def note(self, step: str, attempt: int, message: str) -> None:
        """Add a line of our own to a step's log."""
        StepLog(self.folder.log(step, attempt)).append(f"lightning-native: {message}\n".encode())
