"""The records of costs: one of each machine that was billed for a run, by the name of its studio or job."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from lightning_native.engine.record.records import BilledKind, StepRecord

if TYPE_CHECKING:
    from lightning_native.engine.record.journal import Journal

SCHEMA = """
CREATE TABLE IF NOT EXISTS costs (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL, step TEXT,
    machine TEXT NOT NULL, hourly REAL, began REAL NOT NULL, ended REAL, dollars REAL NOT NULL,
    PRIMARY KEY (run_id, kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cost_parts (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL, part TEXT NOT NULL,
    dollars REAL NOT NULL, PRIMARY KEY (run_id, kind, name, part)
) WITHOUT ROWID;
"""
# What a machine is paid for: until it runs, and for saving a job's files; for set-up; for commands; for nothing.
CostPart = Literal["boot", "preparation", "steps", "idle"]
COST_PARTS: tuple[CostPart, ...] = get_args(CostPart)


@dataclass(frozen=True)
class CostRecord:
    """The cost of a studio's or a job's machine. Times are seconds since the epoch.

    Attributes:
        step: the step that it is for; None: several, or none.
        hourly: dollars for an hour of this computer's clock; None without a price.
        began: the time from which it is billed.
        ended: the time of its end; None: it is billed now.
        dollars: the cost when the record was written.
    """

    run_id: str
    kind: BilledKind
    name: str
    step: str | None
    machine: str
    hourly: float | None
    began: float
    ended: float | None
    dollars: float

    def changed(self, **changes: Any) -> "CostRecord":
        """Return the record with other values."""
        return replace(self, **changes)

    def seconds(self) -> float:
        """Return the seconds for which the machine was billed, by this computer's clock; until now if it is."""
        return max(0.0, (self.ended or time.time()) - self.began)

    def estimate(self) -> float:
        """Return the dollars so far; a machine whose end was not recorded counts until now."""
        if self.ended is not None:
            return self.dollars
        return max(self.dollars, max(0.0, time.time() - self.began) * (self.hourly or 0.0) / 3600)


_COLUMNS = ", ".join(field.name for field in fields(CostRecord))
_COLUMNS_OF_COSTS = ", ".join(f"costs.{field.name} AS {field.name}" for field in fields(CostRecord))
WRITE = f"INSERT OR REPLACE INTO costs ({_COLUMNS}) VALUES ({', '.join('?' for _ in fields(CostRecord))})"  # noqa: S608
WRITE_PART = "INSERT OR REPLACE INTO cost_parts VALUES (?, ?, ?, ?, ?)"
# The cost of a step is that of all its jobs.
CORRECT = (
    "UPDATE steps SET cost = (SELECT sum(dollars) FROM costs WHERE costs.run_id = steps.run_id "
    "AND costs.step = steps.name) WHERE run_id = ? AND name = ?"
)
ADD = "UPDATE steps SET cost = coalesce(cost, 0) + ? WHERE run_id = ? AND name = ?"


def values(record: CostRecord) -> tuple[object, ...]:
    """Return a record as the parameters of `WRITE`."""
    return astuple(record)


def costs_of(journal: "Journal", run_id: str) -> list[CostRecord]:
    """Return the costs of a run, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM costs WHERE run_id = ? ORDER BY began"  # noqa: S608
    return [CostRecord(**row) for row in journal.query(sql, (run_id,))]


def cost_parts_of(journal: "Journal", run_id: str) -> dict[tuple[str, str], dict[CostPart, float]]:
    """Return the parts of each machine's cost, by the kind and the name of its studio or job."""
    found: dict[tuple[str, str], dict[CostPart, float]] = {}
    for row in journal.query("SELECT kind, name, part, dollars FROM cost_parts WHERE run_id = ?", (run_id,)):
        found.setdefault((row["kind"], row["name"]), {})[row["part"]] = row["dollars"]
    return found


@dataclass(frozen=True)
class CostSummary:
    """The cost of a run in dollars: of all its machines, from their requests to their releases, and its parts."""

    dollars: float
    parts: Mapping[CostPart, float]

    @classmethod
    def of(cls, journal: "Journal", run_id: str) -> "CostSummary | None":
        """Return the cost of a run so far; None if no machine was billed for it."""
        records = costs_of(journal, run_id)
        if not records:
            return None
        parts = cost_parts_of(journal, run_id)
        summed = {part: sum(each.get(part, 0.0) for each in parts.values()) for part in COST_PARTS}
        return cls(sum(record.estimate() for record in records), {part: cost for part, cost in summed.items() if cost})

    def __str__(self) -> str:
        """Return the cost as a line for people."""
        parts = ", ".join(f"{part} ${dollars:.4f}" for part, dollars in self.parts.items())
        return f"${self.dollars:.4f}" + (f" ({parts})" if parts else "")


@dataclass(frozen=True)
class Bill:
    """A step that was a run of its own elsewhere, with the costs of its machines and their parts."""

    step: StepRecord
    records: Sequence[CostRecord]
    parts: Mapping[tuple[str, str], Mapping[CostPart, float]]


def adopt(journal: "Journal", run_id: str, bills: Sequence[Bill]) -> None:
    """Record steps that were runs of their own elsewhere, and their costs, as those of an ended run."""
    names = [field.name for field in fields(StepRecord)]
    marks = ", ".join("?" for _ in names)
    with journal.transaction() as connection:
        for bill in bills:
            connection.execute(
                f"INSERT OR REPLACE INTO steps (run_id, position, {', '.join(names)}) "  # noqa: S608  columns only
                f"VALUES (?, (SELECT count(*) FROM steps WHERE run_id = ?), {marks})",
                (run_id, run_id, *astuple(bill.step)),
            )
            for record in bill.records:
                connection.execute(WRITE, values(record))
            for (kind, name), parts in bill.parts.items():
                for part, dollars in parts.items():
                    connection.execute(WRITE_PART, (run_id, kind, name, part, dollars))


@dataclass(frozen=True)
class RunCost:
    """The cost of a machine, with the id and the name of its run."""

    run_id: str
    run_name: str
    record: CostRecord


def costs_since(journal: "Journal", since: float) -> list[RunCost]:
    """Return the costs of all runs for machines that ended since a time, or run now, oldest first."""
    sql = (
        f"SELECT {_COLUMNS_OF_COSTS}, runs.name AS run_name FROM costs JOIN runs USING (run_id) "  # noqa: S608
        "WHERE costs.ended IS NULL OR costs.ended >= ? ORDER BY costs.began"
    )
    rows = journal.query(sql, (since,))
    return [RunCost(row["run_id"], row.pop("run_name"), CostRecord(**row)) for row in rows]


def spent_since(journal: "Journal", cloud: str, since: float, *, without: str = "") -> float:
    """Return the dollars of all runs on a cloud for machines that ended since a time or run now, except for one run.

    A machine that runs across that time counts from there on.
    """
    sql = (
        f"SELECT {_COLUMNS} FROM costs WHERE (ended IS NULL OR ended >= ?) AND run_id != ? "  # noqa: S608
        "AND run_id IN (SELECT run_id FROM runs WHERE cloud = ?)"
    )
    total = 0.0
    for row in journal.query(sql, (since, without, cloud)):
        record = CostRecord(**row)
        seconds = (record.ended or time.time()) - record.began
        share = 1.0 if record.began >= since or seconds <= 0 else ((record.ended or time.time()) - since) / seconds
        total += record.estimate() * share
    return total
