"""The part of the journal that one controller writes: its own run, until another controller takes the run over."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lightning_native.engine.record.costs import ADD, CORRECT, WRITE, WRITE_PART, CostPart, CostRecord, values
from lightning_native.engine.record.records import LeaseKind, RunState, StepState
from lightning_native.errors import StaleControllerError

if TYPE_CHECKING:
    from lightning_native.engine.record.journal import Journal

_OPEN = "('pending', 'preparing', 'running')"
_LEASE = (
    "INSERT INTO leases (run_id, kind, name, on_release, created) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET released = NULL"
)


@dataclass(frozen=True)
class Write:
    """One change to the records of a run, by its controller."""

    run_id: str
    token: int
    sql: str
    parameters: tuple[object, ...]


class RunJournal:
    """One run's part of the journal, for the controller that drives it.

    Every write carries the token that the controller got when it began. After another controller has taken the run
    over, a write raises StaleControllerError instead: the next lease, the end, or a `flush` at the latest. Records of
    steps are queued. They are on disk within a moment, or with one of these three.
    """

    def __init__(self, journal: "Journal", run_id: str, token: int) -> None:
        self.journal = journal
        self.run_id = run_id
        self._token = token

    def end(self, state: RunState, message: str = "") -> None:
        """Record the run's end; the first end stays."""
        with self.journal.transaction() as connection:
            self._check()
            connection.execute(
                "UPDATE runs SET state = ?, ended = ?, message = ? WHERE run_id = ? AND state = 'running'",
                (state, time.time(), message, self.run_id),
            )
            connection.execute("DELETE FROM uses WHERE run_id = ?", (self.run_id,))

    def reopen(self, is_resumable: Callable[[str], bool]) -> bool:
        """Let a run that ended because of a passing reason go on, and return whether it does.

        `is_resumable` tells that of the message of a failed step. Its next attempt follows, and steps that did not run
        because of it are open again.
        """
        failed = [
            step.name
            for step in self.journal.steps(self.run_id)
            if step.state == "failed" and is_resumable(step.message)
        ]
        record = self.journal.run(self.run_id)
        if record is None or record.state == "running" or not failed:
            return False
        names = ", ".join("?" for _ in failed)
        with self.journal.transaction() as connection:
            self._check()
            connection.execute(
                "UPDATE steps SET state = 'pending', attempt = attempt + (place IS NOT NULL), started = NULL, "
                "ended = NULL, exit_code = NULL, message = '' "
                f"WHERE run_id = ? AND (name IN ({names}) OR state IN ('stopped', 'skipped'))",
                (self.run_id, *failed),
            )
            connection.execute(
                "UPDATE runs SET state = 'running', ended = NULL, message = '' WHERE run_id = ?", (self.run_id,)
            )
        return True

    def step_preparing(self, step: str, attempt: int, place: str, machine: str | None) -> None:
        """Record that an attempt at a step waits for its studio or job."""
        self._write_soon(
            "UPDATE steps SET state = 'preparing', attempt = ?, place = ?, machine = ? "
            f"WHERE run_id = ? AND name = ? AND state IN {_OPEN}",
            (attempt, place, machine, self.run_id, step),
        )

    def step_running(self, step: str) -> None:
        """Record that a step's command was started; the start of its first attempt stays."""
        self._write_soon(
            "UPDATE steps SET state = 'running', started = coalesce(started, ?) "
            "WHERE run_id = ? AND name = ? AND state = 'preparing'",
            (time.time(), self.run_id, step),
        )

    def step_ended(
        self,
        step: str,
        state: StepState,
        exit_code: int | None = None,
        message: str = "",
        cost: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Record a step's terminal state; the first one stays. `seconds` is the duration of its command, if known."""
        now = time.time()
        # The recorded start may be too late, because a short job can end before its first poll.
        started = None if seconds is None else now - seconds
        self._write_soon(
            "UPDATE steps SET state = ?, started = coalesce(?, started), "
            "ended = CASE WHEN coalesce(?, started) IS NULL THEN NULL ELSE ? END, exit_code = ?, message = ?, cost = ? "
            f"WHERE run_id = ? AND name = ? AND state IN {_OPEN}",
            (state, started, started, now, exit_code, message, cost, self.run_id, step),
        )

    def cost(self, record: CostRecord, parts: Mapping[CostPart, float] | None = None) -> None:
        """Record the cost of a machine as it is now, and its parts."""
        self._write_soon(WRITE, values(record))
        for part, dollars in (parts or {}).items():
            self._write_soon(WRITE_PART, (self.run_id, record.kind, record.name, part, dollars))

    def cost_corrected(self, step: str) -> None:
        """Set a step's cost to that of all its jobs, because costs settle minutes after the end."""
        self._write_soon(CORRECT, (self.run_id, step))

    def cost_added(self, step: str, dollars: float) -> None:
        """Add dollars to a step's cost."""
        self._write_soon(ADD, (dollars, self.run_id, step))

    def lease(
        self, kind: LeaseKind, *names: str, on_release: Literal["delete", "stop"] = "delete", file: str = ""
    ) -> None:
        """Record the intent to create or start things, and a file for them, before the calls that do it."""
        wanted = [*((kind, name, on_release) for name in names), *([("file", file, "delete")] if file else [])]
        with self.journal.transaction() as connection:
            self._check()
            connection.executemany(_LEASE, [(self.run_id, *lease, time.time()) for lease in wanted])

    def use(self, studio: str) -> None:
        """Record that the run uses a studio that other runs may use, too."""
        self._write("INSERT OR IGNORE INTO uses VALUES (?, ?)", (self.run_id, studio))

    def owes_stop(self, studio: str) -> bool:
        """Return whether the run owes the stop of a studio."""
        leases = self.journal.leases(self.run_id)
        return any((lease.kind, lease.name, lease.released) == ("studio", studio, None) for lease in leases)

    def left(self, studio: str, *, heir: str | None, stopped: bool) -> None:
        """Record that the run does not use a studio any more.

        Args:
            studio: its name.
            heir: the run that owes the stop from now on; None: no run does.
            stopped: whether the studio was stopped, so that no other run, such as a dead one, owes the stop any more.
        """
        now = time.time()
        cloud = "SELECT run_id FROM runs WHERE cloud = (SELECT cloud FROM runs WHERE run_id = ?)"
        debts = "UPDATE leases SET released = ? WHERE kind = 'studio' AND name = ? AND released IS NULL AND"
        with self.journal.transaction() as connection:
            self._check()
            connection.execute(f"{debts} run_id = ?", (now, studio, self.run_id))
            if stopped:
                connection.execute(f"{debts} on_release = 'stop' AND run_id IN ({cloud})", (now, studio, self.run_id))
            if heir is not None:
                connection.execute(_LEASE, (heir, "studio", studio, "stop", now))
            connection.execute("DELETE FROM uses WHERE run_id = ? AND studio = ?", (self.run_id, studio))

    def released(self, kind: LeaseKind, name: str) -> None:
        """Record that a leased thing is confirmed gone."""
        self._write_soon(
            "UPDATE leases SET released = ? WHERE run_id = ? AND kind = ? AND name = ? AND released IS NULL",
            (time.time(), self.run_id, kind, name),
        )

    def event(self, text: str, step: str | None = None) -> None:
        """Record an event."""
        self._write_soon(
            "INSERT INTO events (run_id, at, step, text) VALUES (?, ?, ?, ?)", (self.run_id, time.time(), step, text)
        )

    def flush(self) -> None:
        """Write everything that was recorded so far to disk.

        Raises:
            StaleControllerError: another controller has taken the run over, and the records were refused.
        """
        self.journal.flush()
        if self.journal.is_replaced(self.run_id, self._token):
            raise stale(self.run_id)

    def _write(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self.journal.transaction() as connection:
            self._check()
            connection.execute(sql, parameters)

    def _write_soon(self, sql: str, parameters: tuple[object, ...]) -> None:
        """Queue a record that a later poll of Lightning would give again if it were lost."""
        self.journal.write_soon(Write(self.run_id, self._token, sql, parameters))

    def _check(self) -> None:
        if self.journal.token(self.run_id) != self._token:
            raise stale(self.run_id)


def stale(run_id: str) -> StaleControllerError:
    """Return the error of a controller whose run another one drives."""
    return StaleControllerError(f"run {run_id} is driven by another controller now; this one gives up")
