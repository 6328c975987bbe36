"""The bills of steps that are runs of their own: from the journal that has them, by way of ZenML, to the pipeline's."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.client import Client
from zenml.logger import get_logger
from zenml.metadata.metadata_types import MetadataType
from zenml.orchestrators.publish_utils import publish_step_run_metadata
from zenml.utils.pagination_utils import depaginate

from lightning_native.engine.record.costs import Bill, CostRecord, CostSummary, adopt, cost_parts_of, costs_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish.metadata import cost_metadata
from lightning_native.zenml.publish.publication_lock import billed, is_billed
from lightning_native.zenml.publish.status import STEP_STATUS

if TYPE_CHECKING:
    from zenml.models import StepRunResponse

logger = get_logger(__name__)
_BILL = "bill"
_STATES = {status: state for state, status in STEP_STATUS.items()}


def publish_bill(folder: RunFolder, journal: Journal) -> None:
    """Publish, once, what the machines of a step have cost that was a run of its own and has ended."""
    run_id = folder.path.name
    cost, steps = CostSummary.of(journal, run_id), journal.steps(run_id)
    if cost is None or len(steps) != 1 or is_billed(folder):
        return
    parts = cost_parts_of(journal, run_id)
    machines = [
        {**asdict(record), "parts": parts.get((record.kind, record.name), {})} for record in costs_of(journal, run_id)
    ]
    own = {name: value for name, value in cost_metadata(cost, []).items() if value}
    metadata: dict[str, MetadataType] = {**own, _BILL: {"attempts": steps[0].attempt, "machines": machines}}
    try:
        component = UUID(folder.origin().component)
        publish_step_run_metadata(step_run_id=UUID(run_id), step_run_metadata={component: metadata})
        billed(folder)
    except Exception as error:
        # The end of the step matters more.
        logger.warning("The cost of step run %s could not be published: %s", run_id, error)


def adopt_bills(journal: Journal, run_id: str, pipeline_run: UUID) -> None:
    """Record the steps and costs of a dynamic pipeline's isolated steps as those of its run."""
    steps = depaginate(Client().list_run_steps, pipeline_run_id=pipeline_run, hydrate=True)
    adopt(journal, run_id, list(_bills(run_id, steps)))


def _bills(run_id: str, steps: "list[StepRunResponse]") -> Iterator[Bill]:
    for step in steps:
        bill: Any = step.run_metadata.get(_BILL)
        if not isinstance(bill, dict):
            continue
        records, parts = [], {}
        for machine in bill["machines"]:
            parts[machine["kind"], machine["name"]] = machine.pop("parts")
            records.append(CostRecord(**{**machine, "run_id": run_id, "step": step.name}))
        last = records[-1]
        yield Bill(
            StepRecord(
                name=step.name,
                state=_STATES.get(step.status, "failed"),
                attempt=bill["attempts"],
                place=last.name,
                machine=last.machine,
                started=step.start_time.timestamp() if step.start_time else None,
                ended=step.end_time.timestamp() if step.end_time else None,
                exit_code=None,
                cost=sum(record.dollars for record in records),
                message=_reason(step),
            ),
            records,
            parts,
        )


def _reason(step: "StepRunResponse") -> str:
    information = getattr(step, "exception_info", None)
    return (str(information.traceback).strip().splitlines() or [""])[-1] if information else ""
