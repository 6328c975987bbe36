"""A run as `runs show` presents it, for a controller on any machine."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lightning_native.cli.runs.outputs import AttemptOutputs
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Event, Lease, RunRecord, StepRecord
from lightning_native.terminal import one_line


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

    @classmethod
    def of(
        cls, journal: Journal, run: RunRecord, driven: str, logs: str, *, is_driven: bool, studio: str | None = None
    ) -> "RunView":
        """Return a run with its records in the journal."""
        records = journal.steps(run.run_id), journal.leases(run.run_id), journal.events(run.run_id)
        return cls(run, is_driven, driven, *records, logs, studio)

    def to_json(self) -> str:
        """Return the records as JSON."""
        shown = {
            **asdict(self.run),
            "steps": [asdict(step) for step in self.steps],
            "leases": [asdict(lease) for lease in self.leases],
            "events": [asdict(event) for event in self.events],
            "controller_studio": self.studio,
            "outputs": [{**asdict(each), "path": str(each.path)} for each in self.outputs],
        }
        return json.dumps(shown, indent=1)

    def print(self, *, as_json: bool) -> None:
        """Print the records on stdout."""
        print(self.to_json() if as_json else "\n".join(self._lines()))

    def _lines(self) -> list[str]:
        run = self.run
        lines = [f"{one_line(run.name)}  {run.state}  {self.driven}\n{run.message}".rstrip()]
        for step in self.steps:
            seconds = "" if step.started is None else f"{(step.ended or time.time()) - step.started:.1f} s"
            cost = "" if step.cost is None else f"${step.cost:.4f}"
            attempt = f"attempt {step.attempt}" if step.attempt > 1 else ""
            where = " on ".join(part for part in (step.place, step.machine) if part)
            parts = (f"{step.name:20} {step.state:9} {seconds:>9} {cost:>9}", where, attempt, step.message)
            lines.append("  " + "  ".join(part for part in parts if part))
        costs = [step.cost for step in self.steps if step.cost is not None]
        if costs:
            lines.append(f"  cost of {len(costs)} steps: ${sum(costs):.4f}")
        lines += [
            f"  {time.strftime('%H:%M:%S', time.localtime(event.at))}  {event.step or ''}  {event.text}"
            for event in self.events
        ]
        for lease in self.leases:
            state = "released" if lease.released else f"NOT RELEASED ({lease.on_release} it with: lightning-native gc)"
            lines.append(f"  {lease.kind} {lease.name}: {state}")
        lines += [f"  outputs: {each.line()}" for each in self.outputs]
        return [*lines, f"  logs: {self.logs}"]
