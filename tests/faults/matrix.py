"""The matrix of faults: each remote operation of a run, crossed with each fault that can happen to it."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lightning_native.engine.record.controller_location import CONTROLLER_STEP
from lightning_native.placement import PlacementName

# A chain and a branch, whose last step needs both; `c` has a machine of its own.
STEPS = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)}


@dataclass(frozen=True)
class Operation:
    """One remote operation.

    Attributes:
        name: the operation's name in the matrix.
        placement: the placement of the run that needs it.
        match: the requests that carry it out, as a fault of the local cloud names them.
        kind: `run`: all steps succeed; `images`: they do so in images; `stopped`: one fails while another goes on,
            which is stopped; `scheduled`: Lightning shall run them later; `handed over`: a controller on Lightning
            shall run them.
    """

    name: str
    placement: PlacementName
    match: str
    kind: Literal["run", "images", "stopped", "scheduled", "handed over"] = "run"

    @property
    def completes(self) -> bool:
        """Whether the run completes without a fault."""
        return self.kind != "stopped"

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the run's steps."""
        return (CONTROLLER_STEP,) if self.kind == "handed over" else tuple(STEPS)


@dataclass(frozen=True)
class Outcome:
    """The right end of a run.

    Attributes:
        completes: whether all steps succeed.
        reason: a text that the command's errors contain if the run fails.
        repeats: whether a step may run twice, because its machine was lost.
    """

    completes: bool = True
    reason: str = ""
    repeats: bool = False


@dataclass(frozen=True)
class FaultKind:
    """One fault.

    Attributes:
        name: the fault's name in the matrix.
        kind: the kind of the local cloud's fault.
        options: its options.
        outcome: the right end of a run that it happens to.
        workflow: keys that the workflow has besides.
        step: keys that each step has besides.
    """

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome()
    workflow: dict[str, Any] = field(default_factory=dict)
    step: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: a fault at an operation."""

    operation: Operation
    fault: FaultKind

    @property
    def releases(self) -> bool:
        """Whether the operation only removes what the ended steps have used."""
        return self.operation.name.endswith(("-delete", "-remove", "template-stop"))

    @property
    def id(self) -> str:
        """The cell's name."""
        return f"{self.operation.placement}/{self.operation.name}/{self.fault.name}"


_SIGN_IN = [("sign-in", "GET /v1/auth/user"), ("teamspace", "GET /v1/memberships")]
_STUDIO = [
    ("studio-find", "GET */cloudspaces"),
    ("studio-create", "POST */cloudspaces"),
    ("studio-start", "POST */start"),
    ("studio-status", "GET */codestatus"),
    ("upload-address", "POST */blobs"),
    ("upload", "PUT /storage/*"),
    ("execute", "POST */execute"),
    ("output", "GET */stream"),
]
_JOBS = [
    ("template-stop", "POST */stop"),
    ("job-submit", "POST */jobs"),
    ("job-poll", "GET */jobs/*"),
    ("job-logs", "GET */page-logs"),
    ("job-delete", "DELETE */jobs/*"),
]
_PIPELINES = [
    ("template-stop", "POST */stop"),
    ("pipeline-create", "POST */pipelines"),
    ("pipeline-poll", "GET */pipelines/*"),
    ("job-logs", "GET */page-logs"),
    ("pipeline-delete", "DELETE */pipelines/*"),
]
_SCHEDULES = [
    ("schedule-create", "POST */schedules"),
    ("schedule-list", "GET */schedules"),
    ("pipeline-create", "POST */pipelines"),
    ("upload", "PUT /storage/*"),
    ("studio-stop", "POST */stop"),
]
_IMAGE_JOBS = [
    ("drive-upload-address", "POST */artifacts/blobs"),
    ("upload", "PUT /storage/*"),
    ("job-submit", "POST */jobs"),
    ("job-poll", "GET */jobs/*"),
    ("job-logs", "GET */page-logs"),
    ("job-delete", "DELETE */jobs/*"),
    ("drive-remove", "DELETE */artifacts/trees/*"),
]
OPERATIONS = [
    *(Operation(name, "studio", match) for name, match in [*_SIGN_IN, *_STUDIO]),
    Operation("studio-delete", "studio", "DELETE */cloudspaces/*"),
    Operation("command-stop", "studio", "POST */execute", kind="stopped"),
    *(Operation(name, "job", match) for name, match in [*_STUDIO, *_JOBS]),
    Operation("job-stop", "job", "PUT */jobs/*", kind="stopped"),
    *(Operation(name, "platform", match) for name, match in [*_STUDIO[3:], *_PIPELINES]),
    Operation("pipeline-stop", "platform", "PUT */pipelines/*", kind="stopped"),
    *(Operation(f"of a schedule: {name}", "platform", match, kind="scheduled") for name, match in _SCHEDULES),
    *(Operation(f"of an image job: {name}", "job", match, kind="images") for name, match in _IMAGE_JOBS),
    *(Operation(f"of a hosted controller: {name}", "studio", match, kind="handed over") for name, match in _STUDIO),
]
_REFUSED = Outcome(completes=False, reason="API key")
# Longer than the SDK repeats a request.
_MANY = 12
REQUEST_FAULTS = [
    FaultKind("503-once", "status", {"status": 503}),
    FaultKind("503-for-long", "status", {"status": 503, "times": _MANY}),
    FaultKind("503-when-done", "status", {"status": 503, "after_accept": True}),
    FaultKind("429", "status", {"status": 429, "times": 3}),
    FaultKind("401-once", "expired-key"),
    FaultKind("401-for-ever", "expired-key", {"times": 0}, _REFUSED),
    FaultKind("reset", "reset"),
    FaultKind("reset-when-done", "reset", {"after_accept": True}),
    FaultKind("delay", "delay", {"seconds": 3.0}),
    FaultKind("outage", "outage", {"seconds": 30.0}),
]
_UPLOAD_FAULTS = [
    # The SDK repeats uploads itself, with pauses that grow to minutes.
    FaultKind("503-for-long", "status", {"status": 503, "times": 5}),
    FaultKind("truncated", "truncate"),
    FaultKind("corrupted", "corrupt"),
    FaultKind("full-disk-once", "full-disk"),
    FaultKind("full-disk", "full-disk", {"times": 0}, Outcome(completes=False, reason="no space is left")),
]
_AGAIN = {"retries": 1}
_INTERRUPTED = FaultKind(
    "interrupted", "interrupt", {"seconds": 0.1}, Outcome(repeats=True), step={"interruptible": True}
)
_BOOT_FAILS = FaultKind("boot-fails", "boot-fails")
_BOOT_HANGS = FaultKind("boot-hangs", "boot-hangs", workflow={"boot_timeout": 5})
_MACHINE_FAULTS: list[tuple[PlacementName, FaultKind]] = [
    ("studio", FaultKind("out-of-capacity", "out-of-capacity", {"machine": "lit-l4-1", "times": 0})),
    ("job", FaultKind("out-of-capacity", "out-of-capacity", {"machine": "lit-l4-1", "times": 0})),
    ("studio", _BOOT_FAILS),
    ("job", _BOOT_FAILS),
    ("platform", _BOOT_FAILS),
    ("studio", _BOOT_HANGS),
    ("job", _BOOT_HANGS),
    ("platform", _BOOT_HANGS),
    ("studio", FaultKind("studio-dies", "studio-dies", {"seconds": 0.5}, Outcome(repeats=True), step=_AGAIN)),
    ("job", FaultKind("studio-dies", "studio-dies", {"seconds": 0.0})),
    (
        "job",
        FaultKind("interrupted", "interrupt", {"seconds": 0.5}, Outcome(repeats=True), {}, {"interruptible": True}),
    ),
    (
        "platform",
        FaultKind("interrupted", "interrupt", {"seconds": 0.5}, Outcome(repeats=True), {}, {"interruptible": True}),
    ),
]


def _at(operation: Operation, fault: FaultKind) -> bool:
    """Return whether a fault can happen to an operation."""
    # A run whose stop is refused for ever can only report so, and the machines go on.
    if operation.match.startswith("PUT /storage/"):
        # The store knows no key.
        return not fault.name.startswith(("401", "503-for-long"))
    return not (operation.kind == "stopped" and fault.name == "401-for-ever" and operation.placement == "studio")


def _fault_at(operation: Operation, fault: FaultKind) -> FaultKind:
    if (operation.placement, operation.name, fault.name) == ("platform", "job-logs", "401-for-ever"):
        # Lightning calls the pipeline's jobs completed, so that nothing but their output is missing.
        return replace(fault, outcome=Outcome())
    return fault


def cells() -> list[Cell]:
    """Return all cells."""
    crossed = [
        Cell(operation, _fault_at(operation, fault))
        for operation in OPERATIONS
        for fault in REQUEST_FAULTS
        if _at(operation, fault)
    ]
    uploads = [operation for operation in OPERATIONS if operation.match.startswith("PUT /storage/")]
    damaged = [Cell(operation, fault) for operation in uploads for fault in _UPLOAD_FAULTS]
    machines = [Cell(Operation("machine", placement, ""), fault) for placement, fault in _MACHINE_FAULTS]
    hosted = Operation("of a hosted controller: machine", "studio", "", kind="handed over")
    machines += [Cell(hosted, fault) for fault in (_BOOT_FAILS, _BOOT_HANGS)]
    return [*crossed, *damaged, *machines]


def spread(count: int, day: int) -> list[Cell]:
    """Return some cells for a day, evenly over the matrix; after some days, all cells have been chosen."""
    every = cells()
    step = max(1, len(every) // count)
    return every[day % step :: step][:count]
