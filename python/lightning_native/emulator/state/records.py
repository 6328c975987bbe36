"""The records of the local cloud: plain dataclasses of JSON values, times in simulated seconds since the epoch."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fact:
    """One value about the server itself, such as its port."""

    id: str
    value: Any


@dataclass
class FolderInWork:
    """The id of a studio or job whose folders are being created or removed; after a crash, they may be removed."""

    id: str


@dataclass
class User:
    """A user, who owns teamspaces."""

    id: str
    username: str


@dataclass
class Organization:
    """An organization that owns teamspaces."""

    id: str
    name: str


@dataclass
class Teamspace:
    """A teamspace: the project of the API."""

    id: str
    name: str
    owner_id: str
    owner_type: str
    created_at: float
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Instance:
    """One machine that a studio has, or has requested.

    It is in use from `in_use_at` on, and `restored` when the start of the studio is over for the SDK.
    """

    id: str
    machine: str
    interruptible: bool
    phase: str
    created_at: float
    started_at: float | None = None
    message: str = ""
    in_use_at: float | None = None
    restored: bool = False


@dataclass
class Studio:
    """A studio: the cloudspace of the API."""

    id: str
    teamspace_id: str
    user_id: str
    name: str
    display_name: str
    cluster_id: str
    marker: str
    created_at: float
    updated_at: float
    machine: str
    interruptible: bool = False
    instance: dict[str, Any] | None = None
    requested: dict[str, Any] | None = None
    env: list[dict[str, str]] = field(default_factory=list)
    disable_auto_shutdown: bool = False
    idle_shutdown_seconds: int = 600
    active_at: float = 0.0
    cost: float = 0.0
    message: str = ""
    recorded: dict[str, Any] = field(default_factory=dict)
    # The machine of the last request, which an account without it answers with another.
    asked_for: str = ""


@dataclass
class Job:
    """A job on one machine; also one machine of a job on several, or a step of a pipeline.

    `specification` is the request, `state` a word of the API or `saving`, `outcome` the final state of a job that
    saves its outputs, `spent` the cost of earlier attempts. It is billed from `billed_at`, when its machine is made
    ready, and runs from `started_at`.
    """

    id: str
    teamspace_id: str
    user_id: str
    name: str
    specification: dict[str, Any]
    marker: str
    created_at: float
    machine: str
    state: str = "pending"
    attempt: int = 1
    tags: list[str] = field(default_factory=list)
    multi_machine_id: str = ""
    pipeline_id: str = ""
    rank: int = 0
    extra_env: dict[str, str] = field(default_factory=dict)
    billed_at: float | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    pid: int = 0
    process: str = ""
    exit_code: int | None = None
    message: str = ""
    outcome: str = ""
    spent: float = 0.0
    restarts: int = 0
    was_interrupted: bool = False


@dataclass
class MultiMachineJob:
    """A job on several machines; each of them is a `Job`."""

    id: str
    teamspace_id: str
    user_id: str
    name: str
    specification: dict[str, Any]
    created_at: float
    machines: int
    max_attempts: int = 1
    attempt: int = 1
    tags: list[str] = field(default_factory=list)
    pipeline_id: str = ""
    is_stopping: bool = False
    has_ended: bool = False
    extra_env: dict[str, str] = field(default_factory=dict)
    spent: float = 0.0


@dataclass
class Pipeline:
    """A pipeline and its one run; `statuses` has one entry for each step, in the API's words."""

    id: str
    teamspace_id: str
    user_id: str
    name: str
    steps: list[dict[str, Any]]
    statuses: list[dict[str, Any]]
    created_at: float
    goes_on_after_failure: bool = False
    interruption_retries: int = 0
    parent_id: str = ""
    schedule_id: str = ""
    shared_filesystem: dict[str, Any] = field(default_factory=dict)
    state: str = "PENDING"


@dataclass
class Schedule:
    """The times at which a pipeline runs again, or a studio starts or stops."""

    id: str
    teamspace_id: str
    user_id: str
    name: str
    cron: str
    timezone: str
    resource_id: str
    resource_type: str
    parent_id: str
    created_at: float
    action: str = ""
    parallel_runs: bool = False
    is_paused: bool = False
    next_at: float = 0.0
    total: int = 0


GENERIC_SECRET = "SECRET_TYPE_UNSPECIFIED"  # noqa: S105 - a word of the API


@dataclass
class Secret:
    """A secret of a teamspace or, without one, of the user."""

    id: str
    teamspace_id: str
    name: str
    kind: str
    value: str
    created_at: float


@dataclass
class Document:
    """A record that is only kept and shown again, such as a port."""

    id: str
    kind: str
    teamspace_id: str
    content: dict[str, Any]


@dataclass
class Tag:
    """A mark of jobs, known in one teamspace."""

    id: str
    teamspace_id: str
    name: str
    created_at: float


@dataclass
class Command:
    """A command that was executed in a studio; `process` is its id and start time."""

    id: str
    studio_id: str
    instance_id: str
    created_at: float
    pid: int = 0
    process: str = ""
    exit_code: int | None = None
