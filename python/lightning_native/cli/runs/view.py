"""A run as `runs show` presents it, for a controller on any machine."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lightning_native.cli.runs.outputs import AttemptOutputs
from lightning_native.cli.text.table import format_table
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.left_over import removal
from lightning_native.engine.record.records import Event, Lease, RunRecord, StepRecord
from lightning_native.terminal import one_line
from lightning_native.units import human_dollars, human_seconds, human_time

_STEP_HEADER = ("step", "state", "time", "cost", "attempt", "machine", "studio or job", "")


def _step_row(step: StepRecord) -> list[str]:
    return [
        step.name,
        step.state,
        "" if step.started is None else human_seconds((step.ended or time.time()) - step.started),
        "" if step.cost is None else human_dollars(step.cost),
        str(step.attempt) if step.attempt > 1 else "",
        step.machine or "",
        step.place or "",
        (step.message.splitlines() or [""])[0],
    ]


@dataclass(frozen=True)
class RunView:
    """The records of a run at one moment.

    Attributes:
        run: the run's record.
        is_driven: whether a controller drives it now.
        driven: a phrase about the controller.
        steps: in the plan's order.
        leases: the run's leases, released ones too.
        events: oldest first.
        logs: the path of its logs, or the command that prints them.
        studio: the studio of its controller; None: the controller is on this machine.
        outputs: those that have come back to this machine.
        cost: of all its machines; None if none was billed, or a controller of an earlier version does not report it.
    """

    run: RunRecord
    is_driven: bool
    driven: str
    steps: Sequence[StepRecord]
    leases: Sequence[Lease]
    events: Sequence[Event]
    logs: str
    studio: str | None = None
    outputs: Sequence[AttemptOutputs] = ()
    cost: CostSummary | None = None

    @classmethod
    def of(
        cls, journal: Journal, run: RunRecord, driven: str, logs: str, *, is_driven: bool, studio: str | None = None
    ) -> "RunView":
        """Return a run with its records in the journal."""
        records = journal.steps(run.run_id), journal.leases(run.run_id), journal.events(run.run_id)
        return cls(run, is_driven, driven, *records, logs, studio, cost=CostSummary.of(journal, run.run_id))

    def to_json(self) -> str:
        """Return the records as JSON."""
        shown = {
            **asdict(self.run),
            "steps": [asdict(step) for step in self.steps],
            "leases": [asdict(lease) for lease in self.leases],
            "events": [asdict(event) for event in self.events],
            "cost": asdict(self.cost) if self.cost else None,
            "controller_studio": self.studio,
            "outputs": [{**asdict(each), "path": str(each.path)} for each in self.outputs],
        }
        return json.dumps(shown, indent=1)

    def print(self, *, as_json: bool) -> None:
        """Print the records on stdout."""
        print(self.to_json() if as_json else "\n".join(self._lines()))

    def _lines(self) -> list[str]:
        run = self.run
        lasted = human_seconds((run.ended or time.time()) - run.started)
        began = f"began {human_time(run.started)}, {lasted}"
        lines = [f"{one_line(run.name)}  {run.state}  {self.driven}  {began}\n{run.message}".rstrip()]
        if self.steps:
            rows = [_STEP_HEADER, *map(_step_row, self.steps)]
            lines += [f"  {line}" for line in format_table(rows, right=(2, 3, 4)).splitlines()]
        if self.cost is not None:
            lines.append(f"  cost: {self.cost}")
        lines += [f"  {human_time(event.at)}  {event.step or ''}  {event.text}" for event in self.events]
        lines += [f"  {line}" for line in self._lease_lines()]
        lines += [f"  outputs: {each.line()}" for each in self.outputs]
        return [*lines, f"  logs: {self.logs}"]

    def _lease_lines(self) -> list[str]:
        held = [lease for lease in self.leases if not lease.released]
        way_out = removal(self.run.cloud)
        lines = [f"{lease.kind} {lease.name}: NOT RELEASED ({lease.on_release} it with: {way_out})" for lease in held]
        kinds = Counter(lease.kind for lease in self.leases if lease.released)
        counted = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
        return [*lines, *([f"released: {counted}"] if counted else [])]
