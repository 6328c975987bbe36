"""The content of a run's page: records, the plan's graph, the ends of logs, machines' costs, and what steps left."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning_native.engine.record.costs import CostPart, CostRecord, CostSummary, cost_parts_of, costs_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Event, Lease, RunRecord, StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError

_TAIL_BYTES = 16 * 1024
# A page is sent by mail and kept with a pipeline's run.
_LARGEST_PICTURE, _MOST_PICTURES = 1_000_000, 12
_LARGEST_METRICS, _MOST_METRICS = 20_000, 40
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


@dataclass(frozen=True)
class Machine:
    """A machine that was billed for the run, and the parts of its cost in dollars."""

    cost: CostRecord
    parts: Mapping[CostPart, float]


@dataclass(frozen=True)
class Left:
    """A thing that a step left: a picture as a data URL, or numbers by name."""

    step: str
    name: str
    picture: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunReport:
    """The content of a run's page.

    Attributes:
        run: the run's record.
        steps: the records of its steps, in the plan's order.
        upstream: the upstream steps of each step; empty if the plan is gone.
        leases: the run's leases, released ones too.
        events: its events, oldest first.
        logs: the end of the output of each attempt at a step, by the step's name and the attempt's number.
        cost: of all its machines; None if unknown.
        machines: those that this machine's journal knows, in the order of their begins.
        left: the pictures and numbers among the outputs of its steps.
    """

    run: RunRecord
    steps: Sequence[StepRecord]
    upstream: Mapping[str, Sequence[str]]
    leases: Sequence[Lease]
    events: Sequence[Event]
    logs: Mapping[tuple[str, int], str]
    cost: CostSummary | None = None
    machines: Sequence[Machine] = ()
    left: Sequence[Left] = ()


def read_report(
    run: RunRecord,
    steps: Sequence[StepRecord],
    leases: Sequence[Lease],
    events: Sequence[Event],
    cost: CostSummary | None = None,
) -> RunReport:
    """Return the report of a run with these records, and with the plan, logs, costs and outputs that are here."""
    folder = RunFolder.of(run.run_id)
    try:
        upstream = {step.name: step.upstream for step in folder.plan().steps}
    except PlanError:
        upstream = {}
    logs = {
        (step.name, attempt): _tail(path)
        for step in steps
        for attempt in range(1, step.attempt + 1)
        if (path := folder.log(step.name, attempt)).exists()
    }
    with Journal() as journal:
        parts = cost_parts_of(journal, run.run_id)
        machines = [Machine(each, parts.get((each.kind, each.name), {})) for each in costs_of(journal, run.run_id)]
    return RunReport(run, steps, upstream, leases, events, logs, cost, machines, list(_left(folder, steps)))


def _tail(path: Path) -> str:
    with path.open("rb") as log:
        size = path.stat().st_size
        log.seek(max(0, size - _TAIL_BYTES))
        text = log.read().decode(errors="replace")
    return text if size <= _TAIL_BYTES else f"[the last {_TAIL_BYTES // 1024} KB of {size} bytes]\n{text}"


def _left(folder: RunFolder, steps: Sequence[StepRecord]) -> Iterator[Left]:
    """Yield the pictures and numbers of the newest attempts."""
    pictures = 0
    for step in steps:
        root = folder.outputs(step.name, step.attempt)
        # A link could lead to any file of this computer.
        files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
        for path in files:
            name, size = str(path.relative_to(root)), path.stat().st_size
            kind = _PICTURES.get(path.suffix.lower())
            if kind and size <= _LARGEST_PICTURE and pictures < _MOST_PICTURES:
                pictures += 1
                yield Left(step.name, name, f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}")
            elif path.suffix == ".json" and size <= _LARGEST_METRICS and (numbers := _numbers(path)):
                yield Left(step.name, name, numbers=numbers)


def _numbers(path: Path) -> dict[str, float]:
    """Return the numbers of a JSON object, such as a file of metrics."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    found = [(str(key), each) for key, each in value.items() if type(each) in (int, float)]
    return dict(found[:_MOST_METRICS])
