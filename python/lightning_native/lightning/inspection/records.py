"""The cloud's raw answers, for the conformance suite, which compares them with what this package assumes.

Nothing else uses them: the engine has its own view of the same things, in `cloud.py`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lightning_native.lightning.errors import cloud_errors
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.machines import canonical_machine
from lightning_native.lightning.pipelines import LightningPipeline
from lightning_native.lightning.sdk.internals import (
    cloud_accounts_client,
    latest_job,
    pipelines_client,
    price_list_client,
    requests_of,
    studio_instances,
)
from lightning_native.lightning.studios import LightningStudio

if TYPE_CHECKING:
    from datetime import datetime

    # Exported for the suite's annotations.
    from lightning_sdk import Teamspace as Teamspace  # noqa: PLC0414


@dataclass(frozen=True)
class JobRecord:
    """A job as the platform records it; times in seconds since the epoch."""

    id: str
    name: str
    state: str
    message: str
    cost: float
    created: float | None
    started: float | None
    stopped: float | None
    restarts: int


@dataclass(frozen=True)
class StudioRecord:
    """The machine of a studio as the platform records it: its phase without prefix, and its slug."""

    phase: str
    machine: str
    message: str
    restored: bool
    price: float | None


@dataclass(frozen=True)
class ListedMachine:
    """One line of an account's price list."""

    account: str
    slug: str
    live_slug: str
    family: str
    count: int
    cost: float | None
    spot: float
    wait: float | None
    full: bool
    restricted: bool | None


@dataclass(frozen=True)
class PipelineStepRecord:
    """A step of a pipeline as the platform records it."""

    name: str
    state: str
    resource_id: str
    resource_name: str
    started: float | None
    stopped: float | None


def sdk_version() -> str:
    """Return the version of the SDK that is installed."""
    return version("lightning-sdk")


def job_record(job: LightningJob) -> JobRecord:
    """Return a job's present record."""
    with cloud_errors(f"read job {job.name!r}"):
        found = latest_job(job.sdk_job)
        return JobRecord(
            id=str(found.id),
            name=str(found.name),
            state=str(found.state or "").lower(),
            message=str(found.message or ""),
            cost=float(found.total_cost or 0.0),
            created=_seconds(found.created_at),
            started=_seconds(found.started_at),
            stopped=_seconds(found.stopped_at),
            restarts=int(found.restart_count or 0),
        )


def timed_log(job: LightningJob) -> list[str]:
    """Return the lines of an ended job's log, each after its time."""
    with cloud_errors(f"read the logs of job {job.name!r}"):
        return str(job.sdk_job.logs(timestamps=True)).splitlines()


def keeps_artifacts(job: LightningJob) -> bool:
    """Return whether the SDK names a place for a job's artifacts."""
    with cloud_errors(f"read job {job.name!r}"):
        return job.sdk_job.artifacts_uri is not None


def submit(teamspace: "Teamspace", studio: LightningStudio | None, machine: str, **options: Any) -> LightningJob:
    """Submit a job with the SDK's own options; the machine is a name or a slug, which need not exist."""
    from lightning_sdk import Job

    with cloud_errors(f"submit job {options['name']!r} on {machine}"):
        sdk_studio = studio.sdk_studio if studio is not None else None
        return LightningJob(Job.run(machine=machine, studio=sdk_studio, teamspace=teamspace, **options))


def find_job_by_id(teamspace: "Teamspace", job_id: str) -> str:
    """Return the name of the job of an id."""
    with cloud_errors("look for a job by its id"):
        return str(requests_of(pipelines_client()).jobs_service_get_job(project_id=teamspace.id, id=job_id).name)


def status_of_missing_job(teamspace: "Teamspace") -> int | None:
    """Return the HTTP status with which the platform answers about a job that does not exist."""
    try:
        requests_of(pipelines_client()).jobs_service_get_job(project_id=teamspace.id, id="job-that-is-not-there")
    except Exception as error:
        return getattr(error, "status", None)
    return 200


def studio_record(studio: LightningStudio) -> StudioRecord:
    """Return the record of a studio's machine; an empty phase without one."""
    with cloud_errors(f"see how studio {studio.name!r} stands"):
        found = studio_instances(studio.sdk_studio).in_use
        if found is None:
            return StudioRecord("", "", "", False, None)
        startup = found.startup_status
        return StudioRecord(
            phase=str(found.phase).rpartition("_")[2].lower(),
            machine=str(found.compute_config.name if found.compute_config else ""),
            message=str(found.status_message or ""),
            restored=bool(startup and startup.top_up_restore_finished),
            price=found.price,
        )


def start_blocking(studio: LightningStudio, machine: str) -> None:
    """Start a studio by the SDK's own call, which returns when it likes."""
    from lightning_sdk import Machine

    with cloud_errors(f"start studio {studio.name!r}"):
        studio.sdk_studio.start(Machine.from_str(canonical_machine(machine)))


def switch_blocking(studio: LightningStudio, machine: str) -> None:
    """Switch a studio's machine by the SDK's own call."""
    from lightning_sdk import Machine

    with cloud_errors(f"switch studio {studio.name!r}"):
        studio.sdk_studio.switch_machine(Machine.from_str(canonical_machine(machine)))


def studio_account(studio: LightningStudio) -> str:
    """Return the cloud account of a studio."""
    return str(studio.sdk_studio.cloud_account)


def cloud_accounts(teamspace: "Teamspace") -> tuple[str, list[str]]:
    """Return the teamspace's own cloud account, and all that it can use."""
    with cloud_errors("list the cloud accounts"):
        client = cloud_accounts_client()
        known = (
            [str(each.id) for each in client.list_global_cloud_accounts(teamspace_id=teamspace.id)] if client else []
        )
        return str(teamspace.default_cloud_account or ""), known


def listed_machines(teamspace: "Teamspace", account: str) -> list[ListedMachine]:
    """Return the price list of a cloud account as the platform gives it."""
    from lightning_sdk import Organization

    with cloud_errors(f"read the price list of {account}"):
        client, owner = price_list_client(), teamspace.owner
        if client is None:
            return []
        org = owner.id if isinstance(owner, Organization) else None
        found = client.list_machines(teamspace.id, cloud_accounts=[account], org_id=org)
        return [_listed(account, each) for each in found]


def teamspaces_named(teamspace: "Teamspace") -> int:
    """Return how many teamspaces of this owner have this teamspace's name."""
    with cloud_errors("list the teamspaces"):
        return sum(1 for other in teamspace.owner.teamspaces if other.name == teamspace.name)


def pipeline_steps(teamspace: "Teamspace", pipeline: LightningPipeline) -> list[PipelineStepRecord]:
    """Return the records of a pipeline's steps."""
    with cloud_errors(f"see how pipeline {pipeline.name!r} stands"):
        found = requests_of(pipelines_client()).pipelines_service_get_pipeline(teamspace.id, pipeline.id)
        return [
            PipelineStepRecord(
                name=str(step.name),
                state=str(step.state or "").lower(),
                resource_id=str(step.resource_id or ""),
                resource_name=str(step.resource_name or ""),
                started=_seconds(step.started_at),
                stopped=_seconds(step.stopped_at),
            )
            for step in found.statuses or []
        ]


def private_words(teamspace: "Teamspace", environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the words that a report must not have: keys, names and ids of the account."""
    return [word for word in _account_words(teamspace, environ) if len(word) > 2]


def _account_words(teamspace: "Teamspace", environ: Mapping[str, str]) -> Iterator[str]:
    for name in (
        "LIGHTNING_API_KEY",
        "LIGHTNING_USER_ID",
        "LIGHTNING_USERNAME",
        "LIGHTNING_ORG",
        "LIGHTNING_TEAMSPACE",
    ):
        yield environ.get(name, "")
    yield from (str(teamspace.id), str(teamspace.name), str(teamspace.owner.id), str(teamspace.owner.name))


def _listed(account: str, machine: Any) -> ListedMachine:
    resources, wait = machine.resources, machine.available_in_seconds
    return ListedMachine(
        account=account,
        slug=str(machine.slug or ""),
        live_slug=str(machine.slug_multi_cloud or ""),
        family=str(machine.family or ""),
        count=int((resources.gpu or resources.cpu or 0) if resources else 0),
        cost=None if machine.cost is None else float(machine.cost),
        spot=float(machine.spot_price or 0.0),
        wait=float(wait) if wait not in (None, "") else None,
        full=bool(machine.out_of_capacity),
        restricted=getattr(machine, "is_tier_restricted", None),
    )


def _seconds(moment: "datetime | None") -> float | None:
    # The platform gives the year 1 for a moment that has not come.
    return moment.timestamp() if moment is not None and moment.year > 1970 else None
