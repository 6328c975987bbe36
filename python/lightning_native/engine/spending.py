"""The spending of one run: a meter for each machine that is billed for it, and the sum of all."""

import threading
import time
from collections.abc import Callable, Mapping

from lightning_native.engine.record.costs import CostPart, CostRecord, cost_parts_of, costs_of
from lightning_native.engine.record.records import BilledKind
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.errors import CloudError, LightningNativeError
from lightning_native.lightning.cloud import Cloud

# The longest that a machine is expected to be made ready, which is billed and not shown: 28 s for a CPU were seen,
# 2 min for a T4.
PROVISION_SECONDS = 60.0


class Meter:
    """The cost of one machine: the larger of time times price and of what Lightning reports, which is late."""

    def __init__(
        self,
        record: CostRecord,
        clock_rate: float,
        write: Callable[[CostRecord, Mapping[CostPart, float]], object],
        parts: Mapping[CostPart, float] | None = None,
    ) -> None:
        """Create the meter of a recorded machine; it goes on if the record has no end.

        `parts`: the parts of its cost so far.
        """
        self._record = record
        self._parts: dict[CostPart, float] = dict(parts or {})
        # A machine that an earlier controller has begun is most likely at work.
        self._part: CostPart = "steps" if parts and record.ended is None else "boot"
        # Of a job, the dollars for its commands, if they are known.
        self._for_steps: float | None = None
        self._clock_rate = clock_rate
        self._write = write
        # The cost of earlier machines under this name.
        self._before = record.dollars if record.ended is not None else 0.0
        self._begun = None if record.ended is not None else time.monotonic() - max(0.0, time.time() - record.began)
        self._seconds: float | None = None
        self._reported: float | None = None
        # Reads what Lightning reports, while the machine is there.
        self.read: Callable[[], float] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the machine is billed now."""
        return self._begun is not None and self._seconds is None

    @property
    def per_second(self) -> float:
        """The dollars for each second of this computer's clock; none without a price."""
        return (self._record.hourly or 0.0) / 3600

    @property
    def machine(self) -> str:
        """The machine's name."""
        return self._record.machine

    def enter(self, part: CostPart) -> None:
        """Record what the machine is paid for from now on; at its begin, it boots."""
        self._divide()
        self._part = part

    def worked(self, seconds: float) -> None:
        """Record for how many seconds a job's commands have run, by this computer's clock; the rest is its boot."""
        self._for_steps = seconds * self.per_second

    def _divide(self) -> None:
        """Add the cost since the last time to its part."""
        cost = self.cost() or 0.0
        if self._for_steps is not None:
            steps = min(self._for_steps, cost)
            self._parts = {"boot": cost - steps, "steps": steps}
            return
        new = cost - sum(self._parts.values())
        self._parts[self._part] = self._parts.get(self._part, 0.0) + new

    def move(self, machine: str, hourly: float | None) -> None:
        """Record that the next machine under this name is another one."""
        self._divide()
        self._part = "boot"
        self._before = self.cost() or 0.0
        self._begun = self._seconds = self._reported = None
        self._record = self._record.changed(machine=machine, hourly=hourly)

    def begin(self, seconds_ago: float = 0.0) -> None:
        """Record that the machine is billed, since some seconds; a machine that is known to be stays as it is."""
        if self._begun is None or self._seconds is not None:
            self._part = "boot"
            self._before = self.cost() or 0.0
            self._begun, self._seconds, self._reported = time.monotonic() - seconds_ago, None, None
            self._save(began=time.time() - seconds_ago, ended=None)

    def end(self, seconds: float | None = None) -> None:
        """Record that the machine is not billed any more; `seconds`: its time by Lightning's clock, if known."""
        if seconds is not None:
            self._begun, self._seconds = self._begun or time.monotonic(), seconds / self._clock_rate
            self._record = self._record.changed(began=time.time() - self._seconds)
        elif self.is_running and self._begun is not None:
            self._seconds = time.monotonic() - self._begun
        self.read = None
        self._save(ended=time.time())

    def report(self, dollars: float) -> None:
        """Record what Lightning reports."""
        self._reported = max(dollars, self._reported or 0.0)

    def save(self) -> None:
        """Write the cost as it is now to the journal."""
        self._save()

    @property
    def by_time(self) -> float | None:
        """The cost by time and price, without earlier machines; None without a price."""
        if self._record.hourly is None:
            return None
        seconds = self._seconds
        if seconds is None:
            seconds = 0.0 if self._begun is None else time.monotonic() - self._begun
        return seconds * self.per_second

    def cost(self) -> float | None:
        """Return the dollars so far; None if they are unknown."""
        known = [value for value in (self.by_time, self._reported) if value is not None]
        return self._before + max(known) if known else self._before or None

    def _save(self, **changes: float | None) -> None:
        self._divide()
        self._record = self._record.changed(dollars=self.cost() or 0.0, **changes)
        self._write(self._record, self._parts)


class Spending:
    """The meters of one run; those of an earlier controller go on."""

    def __init__(self, journal: RunJournal, cloud: Cloud) -> None:
        self._journal = journal
        self._cloud = cloud
        self._lock = threading.Lock()
        self._meters: dict[tuple[str, str], Meter] = {}
        self._parts = cost_parts_of(journal.journal, journal.run_id)
        self._known = {(record.kind, record.name): record for record in costs_of(journal.journal, journal.run_id)}

    def meter(
        self,
        kind: BilledKind,
        name: str,
        machine: str,
        *,
        step: str | None = None,
        interruptible: bool = False,
        account: str | None = None,
        count: int = 1,
    ) -> Meter:
        """Return the meter of a studio's or job's machines; one that an earlier controller began goes on.

        `count`: the number of the machines.
        """
        with self._lock:
            found = self._meters.get((kind, name))
        if found is not None and found.machine == machine:
            return found
        hourly = self._hourly(machine, account, interruptible=interruptible)
        hourly = None if hourly is None else hourly * count
        with self._lock:
            if found is not None:
                found.move(machine, hourly)
            if (kind, name) not in self._meters:
                now = time.time()
                record = self._known.pop((kind, name), None) or CostRecord(
                    self._journal.run_id, kind, name, step, machine, hourly, now, now, 0.0
                )
                record = record.changed(machine=machine, hourly=hourly)
                parts = self._parts.get((kind, name))
                self._meters[kind, name] = Meter(record, self._cloud.clock_rate, self._journal.cost, parts)
            return self._meters[kind, name]

    def _hourly(self, machine: str, account: str | None, *, interruptible: bool) -> float | None:
        """Return dollars for an hour of this computer's clock."""
        try:
            hourly = self._cloud.hourly_cost(machine, account, interruptible=interruptible)
        except LightningNativeError:
            # An unknown price must not fail a step.
            return None
        return None if hourly is None else hourly * self._cloud.clock_rate

    def price(self, machine: str, *, interruptible: bool = False, account: str | None = None) -> float:
        """Return the dollars for each second of this computer's clock; none without a price."""
        return (self._hourly(machine, account, interruptible=interruptible) or 0.0) / 3600

    @property
    def clock_rate(self) -> float:
        """The seconds of Lightning's clock for each second of this computer's."""
        return self._cloud.clock_rate

    @property
    def running(self) -> list[Meter]:
        """The meters of machines that are billed now."""
        with self._lock:
            return [meter for meter in self._meters.values() if meter.is_running]

    def total(self) -> float:
        """Return the dollars of all machines so far, those of earlier controllers among them."""
        with self._lock:
            meters, earlier = list(self._meters.values()), list(self._known.values())
        return sum(meter.cost() or 0.0 for meter in meters) + sum(record.estimate() for record in earlier)

    def per_second(self) -> float:
        """Return the dollars that the running machines cost each second of this computer's clock."""
        return sum(meter.per_second for meter in self.running)

    def refresh(self) -> None:
        """Read what Lightning reports about the running machines."""
        for meter in self.running:
            read = meter.read
            if read is not None:
                try:
                    meter.report(read())
                except CloudError:
                    continue

    def close(self) -> None:
        """End the meters of machines that are released; a controller that goes on leaves nothing running."""
        for meter in self.running:
            meter.end()
        with self._lock:
            forgotten = [record for record in self._known.values() if record.ended is None]
        for record in forgotten:
            self._journal.cost(record.changed(dollars=record.estimate(), ended=time.time()))
