"""Faults on demand: named and counted, so that each fires exactly as often as requested.

`cloud.faults.add("status", match="POST */execute", status=503, after_accept=True)` lets the next such request fail
after it was carried out. The kinds are listed in `KINDS`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from lightning_native.errors import EmulatorError

logger = logging.getLogger("lightning_native.emulator")

KINDS = {
    "status": "a request is answered with a status, before or after it is carried out",
    "delay": "a request waits so many seconds before it is carried out",
    "reset": "the connection breaks, before or after the request is carried out",
    "outage": "from a request on, every request is answered with a status for so many seconds",
    "truncate": "only the first half of an upload is stored, and the answer says all is well",
    "corrupt": "one byte of an upload is changed, and the answer says all is well",
    "full-disk": "an upload is refused: no space is left",
    "expired-key": "a request is answered as if the key had expired",
    "out-of-capacity": "a machine is not to be had: studios do not start on it, jobs stay pending",
    "out-of-funds": "the account has no money: what runs is stopped, and nothing starts, until the fault is removed",
    "boot-fails": "the machine of a studio fails to start",
    "boot-hangs": "the machine of a studio stays pending",
    "start-blocks": "the start of a studio that runs goes on until it is stopped, or this fault is removed",
    "switch-refused": "a switch of machines is refused, and happens all the same",
    "studio-dies": "a studio loses its machine so many seconds after a command began",
    "interrupt": "an interruptible job loses its machine so many seconds after it began, at once if it has run longer",
}
# Former names of kinds.
FORMER_KINDS = {"reclaim": "interrupt"}
# Kinds that a request triggers, with the requests that they match by default.
REQUEST_KINDS = {
    "status": "* *",
    "delay": "* *",
    "reset": "* *",
    "outage": "* *",
    "truncate": "PUT /storage/*",
    "corrupt": "PUT /storage/*",
    "full-disk": "PUT /storage/*",
    "expired-key": "* /v1/*",
}


@dataclass
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        match: the requests that trigger it, `METHOD PATH` with `*` for anything; the method may be left out.
        times: how often it fires; 0 for always.
        status: the HTTP status of the answer.
        seconds: simulated seconds of a delay, or until a machine is lost.
        after_accept: whether the request is carried out all the same.
        machine: the machine it is about, as a slug; any when empty.
        name: the studio or job it is about; any when empty.
        fired: how often it has fired.
        id: its number, for its removal.

    """

    kind: str
    match: str = ""
    times: int = 1
    status: int = 503
    seconds: float = 0.0
    after_accept: bool = False
    machine: str = ""
    name: str = ""
    fired: int = 0
    id: int = 0

    def __post_init__(self) -> None:
        """Give a kind that is known by a former name its present one."""
        if isinstance(self.kind, str):
            self.kind = FORMER_KINDS.get(self.kind, self.kind)

    def check(self) -> None:
        """Raise `EmulatorError` for an invalid fault."""
        for name, kind in (("kind", str), ("match", str), ("machine", str), ("name", str)):
            if not isinstance(getattr(self, name), kind):
                raise EmulatorError(f"a fault's `{name}` is a text, not {getattr(self, name)!r:.50}")
        for name in ("times", "status", "seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= abs(value) < float("inf"):
                raise EmulatorError(f"a fault's `{name}` is a number, not {value!r:.50}")
        if self.kind not in KINDS:
            raise EmulatorError(f"{self.kind!r} is no fault; there are {', '.join(KINDS)}")
        if self.times < 0 or self.seconds < 0:
            raise EmulatorError(f"fault {self.kind!r}: `times` and `seconds` are at least 0")
        if not 400 <= self.status <= 599:
            raise EmulatorError(f"fault {self.kind!r}: {self.status} is no error status; give one from 400 to 599")
        if self.match and self.kind not in REQUEST_KINDS:
            raise EmulatorError(f"fault {self.kind!r}: `match` is for requests; use `machine` or `name`")


class FaultList:
    """The faults of one cloud, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next = 1

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults that have not fired as often as requested."""
        return iter([fault for fault in self._faults if fault.times == 0 or fault.fired < fault.times])

    def add(self, fault: Fault) -> None:
        """Add a fault and give it a number."""
        fault.id = self._next
        self._next += 1
        self._faults.append(fault)

    def remove(self, number: str) -> bool:
        """Remove the fault of a number; return whether there was one."""
        left = [fault for fault in self._faults if str(fault.id) != number]
        was_there = len(left) < len(self._faults)
        self._faults = left
        return was_there

    def has(self, fault: Fault) -> bool:
        """Whether a fault is there, whether or not it has fired as often as requested."""
        return any(known is fault for known in self._faults)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults = []

    def fire(self, fault: Fault) -> None:
        """Count a fault that fires now."""
        fault.fired += 1
        logger.info("fault %d fires: %s %s (%d times)", fault.id, fault.kind, fault.match, fault.fired)

    def take(self, kind: str, *, machine: str = "", name: str = "") -> Fault | None:
        """Return the fault of a kind that is due for a machine and a name, and count it."""
        for fault in self:
            if fault.kind == kind and fault.machine in ("", machine) and fault.name in ("", name):
                self.fire(fault)
                return fault
        return None

    def is_out_of_capacity(self, machine: str) -> bool:
        """Whether a machine is unavailable now."""
        return any(fault.kind == "out-of-capacity" and fault.machine in ("", machine) for fault in self)

    @property
    def is_out_of_funds(self) -> bool:
        """Whether the account counts as having no money."""
        return any(fault.kind == "out-of-funds" for fault in self)
