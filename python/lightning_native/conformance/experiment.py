"""An experiment: one thing that is done on the cloud, and all that was seen meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from lightning_native.conformance.spending import Spending
from lightning_native.engine.resource_names import conformance_name
from lightning_native.errors import CloudError, LightningNativeError

if TYPE_CHECKING:
    from lightning_native.engine.record.records import LeaseKind
    from lightning_native.engine.record.run_journal import RunJournal
    from lightning_native.lightning.inspection.records import Teamspace
    from lightning_native.lightning.teamspace import LightningCloud

T = TypeVar("T")
# Real seconds that a wait has at least, because code of a fast local cloud is no faster than this computer.
_LEAST_WAIT = 60.0
_POLL_SECONDS, _LEAST_POLL = 2.0, 0.1


class UnseenError(LightningNativeError):
    """Something that an experiment did not get to see; the message has the reason."""


class SuiteEndedError(LightningNativeError):
    """The run of the suite ends before its time: it was interrupted, or it has cost what it may cost."""


class Seen(dict[str, Any]):
    """The findings of an experiment, by names; a name that is missing is an error with the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = "its experiment did not get so far"

    def __missing__(self, name: str) -> Any:
        raise UnseenError(self.reason)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One thing that is done on the cloud.

    Attributes:
        name: a word for it.
        summary: what it does, in half a sentence.
        run: does it, and records what it sees.
        machine: the machine that it uses; empty without one.
        machines: how many of them at most at once, one after the other counted as one.
        seconds: how long it takes at most.
        billed: for how many seconds its machines are paid at most, each.
        needs: the experiments whose results it uses.
        after: the experiments that it must not disturb, if they are carried out at all.
    """

    name: str
    summary: str
    run: "Callable[[Bench, Seen], None]"
    machine: str = ""
    machines: int = 1
    seconds: float = 30.0
    billed: float = 0.0
    needs: "tuple[Experiment, ...]" = ()
    after: "tuple[Experiment, ...]" = ()


@dataclass
class Bench:
    """The place of all experiments of one run: its cloud, its leases, its clock and its money.

    Attributes:
        cloud: the cloud.
        teamspace: the SDK's own teamspace.
        journal: records each thing before it is created.
        spending: the money.
        prices: dollars an hour, by machine.
        token: the run's own part of every name and mark.
        rate: the cloud's seconds that pass in a real one; more than 1 only on a local cloud.
        results: what the experiments saw so far, by their names.
        ended: set when the run is to end before its time.
        held: counts the machines that run on after their experiment.
    """

    cloud: "LightningCloud"
    teamspace: "Teamspace"
    journal: "RunJournal"
    spending: Spending
    prices: dict[str, float]
    token: str
    rate: float = 1.0
    results: dict[str, Seen] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def mark(self) -> str:
        """The word before the facts in an output."""
        return f"CONFORMANCE-{self.token}"

    def name(self, thing: str) -> str:
        """Return a name of this run's own."""
        return conformance_name(self.token, thing)

    def lease(self, kind: "LeaseKind", *names: str) -> None:
        """Record the intent to create things, before the calls that do it."""
        self.check()
        self.journal.lease(kind, *names)

    def now(self) -> float:
        """Return the cloud's seconds since some moment."""
        return time.monotonic() * self.rate

    def check(self) -> None:
        """Raise if the run is to end."""
        if self.ended.is_set():
            raise SuiteEndedError("the run was interrupted")
        if self.spending.is_over:
            raise SuiteEndedError(f"the run has cost its ${self.spending.limit:g}")

    def pause(self) -> None:
        """Wait for the next poll."""
        self.check()
        self.ended.wait(max(_POLL_SECONDS / self.rate, _LEAST_POLL))
        self.check()

    def wait(self, condition: Callable[[], T | None], seconds: float) -> T | None:
        """Poll until a condition gives something, for so many seconds of the cloud; None if it does not.

        A call that fails counts as one that gave nothing.
        """
        deadline = time.monotonic() + max(seconds / self.rate, min(seconds, _LEAST_WAIT))
        while True:
            try:
                found = condition()
            except CloudError:
                found = None
            if found or time.monotonic() > deadline:
                return found
            self.pause()

    def time_until(self, condition: Callable[[], bool], seconds: float, *, since: float | None = None) -> float | None:
        """Return the cloud's seconds until a condition holds: 0 if it does at the first look, None if it never does.

        They are counted from now, or since an earlier moment.
        """
        since, looks = self.now() if since is None else since, 0

        def look() -> bool:
            nonlocal looks
            looks += 1
            return condition()

        if not self.wait(look, seconds):
            return None
        return self.now() - since if looks > 1 else 0.0

    @contextmanager
    def machine(self, name: str, number: int = 1) -> Iterator[None]:
        """Count the cost of machines for the length of the block."""
        with self.spending.of(self.prices.get(name, 0.0) * number):
            yield


@contextmanager
def stage(seen: Seen) -> Iterator[None]:
    """Go on after the block if Lightning refuses or fails a call in it: the other stages may succeed."""
    try:
        yield
    except (CloudError, UnseenError) as error:
        seen.reason = str(error)
