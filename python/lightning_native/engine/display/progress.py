"""The progress of a run as its journal has it: the phase of each step, and the money so far."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from lightning_native.engine.activities import Activity, read_activities
from lightning_native.engine.record.costs import CostPart, CostRecord, cost_parts_of, costs_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepRecord
from lightning_native.engine.record.run_folder import RunFolder

# A step waits for others or for a place, its machine boots and is prepared, its command runs, or it has ended.
Phase = Literal["waiting", "booting", "preparing", "running", "succeeded", "failed", "skipped", "stopped"]
UNDER_WAY: tuple[Phase, ...] = ("booting", "preparing", "running")
PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(frozen=True)
class StepProgress:
    """A step at one moment.

    Attributes:
        name: the step.
        phase: where it is.
        attempt: the number of its latest attempt.
        machine: the machine that it has or waits for.
        seconds: since its machine was requested, or its command began; of an ended step, those of its command.
        dollars: its cost so far, if it is known.
        reason: the first line of the reason for its end.
    """

    name: str
    phase: Phase
    attempt: int
    machine: str
    seconds: float | None
    dollars: float | None
    reason: str


@dataclass(frozen=True)
class Progress:
    """A run at one moment.

    Attributes:
        steps: its steps, in the plan's order.
        seconds: since its begin.
        dollars: its cost so far, if it is known.
        activities: the work of its controller besides the steps.
    """

    steps: tuple[StepProgress, ...]
    seconds: float
    dollars: float | None
    activities: tuple[Activity, ...] = ()

    def counts(self) -> Mapping[Phase, int]:
        """Return the number of steps in each phase that has any, in the order of the phases."""
        counted = Counter(step.phase for step in self.steps)
        return {phase: counted[phase] for phase in PHASES if counted[phase]}


def read_progress(journal: Journal, run_id: str) -> Progress:
    """Return the progress of a run."""
    run = journal.run(run_id)
    records = costs_of(journal, run_id)
    costs = {record.name: record for record in records}
    parts = {name: parts for (_, name), parts in cost_parts_of(journal, run_id).items()}
    steps = tuple(
        _progress(step, costs.get(step.place or ""), parts.get(step.place or "", {})) for step in journal.steps(run_id)
    )
    dollars = sum(record.estimate() for record in records) if records else None
    seconds = 0.0 if run is None else (run.ended or time.time()) - run.started
    return Progress(steps, seconds, dollars, tuple(read_activities(RunFolder.of(run_id).path)))


def _progress(step: StepRecord, cost: CostRecord | None, parts: Mapping[CostPart, float]) -> StepProgress:
    seconds = step.seconds
    phase: Phase
    if step.state == "pending" or (step.state == "preparing" and cost is None):
        phase = "waiting"
    elif step.state == "preparing":
        phase = "preparing" if "preparation" in parts else "booting"
        seconds = time.time() - cost.began if cost else None
    else:
        phase = step.state
        if step.state == "running" and step.started is not None:
            seconds = time.time() - step.started
    own = cost.estimate() if cost is not None and cost.step == step.name else None
    reason = (step.message.splitlines() or [""])[0]
    return StepProgress(
        step.name, phase, step.attempt, step.machine or "", seconds, own if step.cost is None else step.cost, reason
    )
