"""The costs of jobs: measured while they run, and read again after their ends, because Lightning settles them later."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.budget import Share
from lightning_native.engine.context import RunContext
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.spending import PROVISION_SECONDS, Meter
from lightning_native.errors import CloudError, StaleControllerError
from lightning_native.lightning.cloud import JobHandle

# Seconds of Lightning's clock between two readings of the cost of an ended job, and the longest that it is read again.
# A cost was 0.0 for up to 85 s after the end, and rose for 3 min.
_READ_SECONDS = 10.0
_SETTLE_SECONDS = 300.0
# A step that has not run before counts as long as others, or so many seconds.
_ASSUMED_SECONDS = 60.0
# A reported cost below this share of time and price is not all of it yet …
_LEAST_SHARE = 0.95
# … and one that agrees with it to this share is.
_EXACT_SHARE = 0.01


@dataclass
class _Ended:
    """An ended job: its last reading in dollars, and whether its cost has settled."""

    meter: Meter
    reported: float | None
    settled: bool


@dataclass
class _Kept:
    """An ended job that is kept until its cost has settled."""

    step: StepPlan
    name: str
    job: JobHandle
    since: float


class JobCosts:
    """The costs of the jobs of one placement.

    A job whose cost has not settled at its end is kept and read again, at the latest when the placement closes. The
    costs of its step are corrected then.
    """

    def __init__(
        self,
        context: RunContext,
        release: Callable[[StepPlan, str, JobHandle], object] = lambda _step, _name, _job: None,
    ) -> None:
        """Measure the jobs of a run; `release` is called with each ended job that is not needed any more."""
        self._context = context
        self._release = release
        self._lock = threading.Lock()
        self._ended: dict[str, _Ended] = {}
        self._shares: dict[str, Share] = {}
        self._kept: list[_Kept] = []
        self._reader: threading.Thread | None = None
        self._closing = threading.Event()
        self._second = 1.0 / context.cloud.clock_rate

    def budgets(self, new: Sequence[tuple[StepPlan, str, str]]) -> list[float | None]:
        """Return the seconds that the run's budget pays for, for each of some jobs that are submitted together.

        `new`: the step, the job's name and the machine of each.
        """
        if not self._context.budget.is_limited:
            return [None] * len(new)
        shares = [self._share(step, machine) for step, _, machine in new]
        with self._lock:
            others = [share for name, share in self._shares.items() if name not in {name for _, name, _ in new}]
            self._shares.update({name: share for (_, name, _), share in zip(new, shares, strict=True)})
        return self._context.budget.seconds_of_jobs(shares, others)

    def _share(self, step: StepPlan, machine: str) -> Share:
        known = self._durations
        seconds = known.get(step.name, sum(known.values()) / len(known) if known else _ASSUMED_SECONDS)
        account = self._context.account_of(step, machine)
        price = self._context.spending.price(machine, interruptible=step.interruptible, account=account)
        return Share(price * step.num_machines, max(seconds, 1.0))

    @cached_property
    def _durations(self) -> dict[str, float]:
        return self._context.journal.journal.step_durations(self._context.plan.name)

    def begun(self, step: StepPlan, name: str, job: JobHandle, machine: str, waited: float) -> None:
        """Record that a job runs, `waited` seconds after its submission; it is billed since somewhat earlier."""
        meter = self._meter(step, name, machine)
        if not meter.is_running:
            meter.begin(min(PROVISION_SECONDS * self._second, waited))
        meter.read = job.cost

    def ended(
        self, step: StepPlan, name: str, job: JobHandle, machine: str, outcomes: Sequence[Outcome]
    ) -> float | None:
        """Return the dollars that an ended job has cost as far as that is known; None if it is not.

        `outcomes`: those of the commands that have run in it.
        """
        meter = self._meter(step, name, machine)
        meter.worked(sum(outcome.seconds for outcome in outcomes))
        has_begun: bool | None = True
        reported: float | None = None
        seconds: float | None = None
        try:
            reported = job.cost()
            end = job.end()
            seconds, has_begun = end.seconds, end.has_begun
        except CloudError:
            # An unknown cost must not fail a step that succeeded.
            pass
        if has_begun is False and not meter.is_running:
            seconds = 0.0
        if reported is not None:
            meter.report(reported)
        meter.end(seconds)
        # Times have milliseconds.
        exact = _EXACT_SHARE * (meter.by_time or 0.0) + 0.01 * self._second * meter.per_second
        settled = reported is not None and (
            seconds is None or meter.by_time is None or abs(reported - meter.by_time) <= exact
        )
        with self._lock:
            self._shares.pop(name, None)
            self._ended[name] = _Ended(meter, reported, settled)
        return meter.cost()

    def _meter(self, step: StepPlan, name: str, machine: str) -> Meter:
        account = self._context.account_of(step, machine)
        return self._context.spending.meter(
            "job",
            name,
            machine,
            step=step.name,
            interruptible=step.interruptible,
            account=account,
            count=step.num_machines,
        )

    def settle(self, step: StepPlan, name: str, job: JobHandle) -> None:
        """Release the job of an ended step when its cost has settled, without waiting for that."""
        with self._lock:
            ended = self._ended.get(name)
            if ended is not None and not ended.settled and not self._closing.is_set():
                self._kept.append(_Kept(step, name, job, time.monotonic()))
                if self._reader is None:
                    self._reader = threading.Thread(target=self._read_again, name="read costs", daemon=True)
                    self._reader.start()
                return
        self._release(step, name, job)

    def _read_again(self) -> None:
        while not self._closing.wait(_READ_SECONDS * self._second):
            with self._lock:
                kept = list(self._kept)
            for each in kept:
                try:
                    self._read(each)
                except StaleControllerError:
                    # Only the new controller may record anything about this run.
                    return

    def _read(self, kept: _Kept) -> None:
        ended = self._ended[kept.name]
        before = ended.reported
        try:
            ended.reported = kept.job.cost()
        except CloudError:
            return
        self._correct(kept, ended)
        by_time = ended.meter.by_time or 0.0
        has_stopped_growing = before is not None and ended.reported - before < 1e-9
        ended.settled = has_stopped_growing and ended.reported >= _LEAST_SHARE * by_time
        if ended.settled or time.monotonic() - kept.since > _SETTLE_SECONDS * self._second:
            with self._lock:
                if kept not in self._kept:
                    return
                self._kept.remove(kept)
            self._release(kept.step, kept.name, kept.job)

    def _correct(self, kept: _Kept, ended: _Ended) -> None:
        if ended.reported is not None:
            ended.meter.report(ended.reported)
            ended.meter.save()
            self._context.journal.cost_corrected(kept.step.name)

    def close(self) -> None:
        """Read the costs that have not settled once more, and release their jobs: a run does not wait for them."""
        self._closing.set()
        with self._lock:
            kept, self._kept = self._kept, []
        threads = [threading.Thread(target=self._read_last, args=(each,)) for each in kept]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _read_last(self, kept: _Kept) -> None:
        ended = self._ended[kept.name]
        try:
            ended.reported = kept.job.cost()
            self._correct(kept, ended)
        except (CloudError, StaleControllerError):
            pass
        self._release(kept.step, kept.name, kept.job)
