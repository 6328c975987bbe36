"""Jobs on one machine: created, renamed, deleted."""

import secrets
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import DEFAULT_MACHINE, MachineType
from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER, check_cluster, machine_on
from lightning_native.emulator.services.jobs import billing
from lightning_native.emulator.services.jobs.artifacts import artifacts_folder
from lightning_native.emulator.services.jobs.job_runner import JobRunners, runner_of
from lightning_native.emulator.services.jobs.limits import check_gpus
from lightning_native.emulator.services.jobs.mounts import check_mounts
from lightning_native.emulator.services.jobs.snapshots import Snapshots
from lightning_native.emulator.services.money import keep_cost, require_funds
from lightning_native.emulator.services.names import free_name, slug
from lightning_native.emulator.services.variables import check_variable
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job
from lightning_native.emulator.state.store import new_id


def job_names(cloud: Cloud, teamspace_id: str) -> list[str]:
    """Return the names of all jobs of a teamspace."""
    single = [job.name for job in cloud.jobs if job.teamspace_id == teamspace_id]
    return single + [job.name for job in cloud.multi_machine_jobs if job.teamspace_id == teamspace_id]


async def create(cloud: Cloud, teamspace_id: str, name: str, specification: dict[str, Any], **fields: Any) -> Job:
    """Create a job with a snapshot of its studio's files, and start it."""
    require_funds(cloud)
    check_source(cloud, specification)
    machine, cluster = machine_for(cloud, specification)
    check_mounts(cloud, teamspace_id, specification)
    check_gpus(cloud, machine.slug)
    job = Job(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=free_name(slug(name), job_names(cloud, teamspace_id)),
        specification={**specification, "instanceName": machine.slug, "clusterId": cluster},
        marker=secrets.token_hex(16),
        created_at=cloud.clock.now(),
        machine=machine.slug,
        **fields,
    )
    runner = runner_of(cloud, job)
    with cloud.folder_in_work(job.id):
        try:
            await runner.prepare()
        except BaseException:
            cloud.service(JobRunners).forget(job)
            raise
        cloud.jobs.save(job)
    runner.begin()
    return job


def check_source(cloud: Cloud, specification: dict[str, Any]) -> None:
    """Raise unless a job has a studio or an image, and variables that a process can have."""
    studio_id = specification.get("cloudspaceId")
    if studio_id and cloud.studios.get(str(studio_id)) is None:
        raise ApiError(404, f"studio {studio_id} not found")
    if not studio_id and not specification.get("image"):
        raise ApiError(400, "a job needs a studio or an image")
    for variable in specification.get("env") or []:
        if variable.get("name"):
            check_variable(str(variable["name"]), str(variable.get("value") or ""))


def machine_for(cloud: Cloud, specification: dict[str, Any]) -> tuple[MachineType, str]:
    """Return a job's machine and its cloud account, which is that of its studio; 400 when that has no such machine."""
    name = str(specification.get("instanceName") or specification.get("instanceType") or DEFAULT_MACHINE)
    asked = str(specification.get("clusterId") or "")
    if asked:
        check_cluster(asked)
    studio = cloud.studios.get(str(specification.get("cloudspaceId") or ""))
    accounts = cloud.settings.profile.accounts
    if accounts and studio is not None and asked not in ("", studio.cluster_id):
        raise ApiError(400, f"studio {studio.name} is on cluster {studio.cluster_id}; its jobs cannot run on {asked}")
    cluster = studio.cluster_id if studio else asked or DEFAULT_CLUSTER
    return machine_on(cluster, name, accounts=accounts), cluster


def rename(cloud: Cloud, job: Job, name: str) -> None:
    """Give a job another name, with a number behind it if it is taken."""
    others = [other for other in job_names(cloud, job.teamspace_id) if other != job.name]
    job.name = free_name(slug(name), others)
    cloud.jobs.save(job)


async def delete(cloud: Cloud, job: Job) -> None:
    """Delete a job with its processes, logs and artifacts."""
    runner = runner_of(cloud, job)
    await runner.stop()
    with cloud.folder_in_work(job.id):
        if cloud.jobs.get(job.id) is job:
            keep_cost(cloud, billing.cost(cloud, job))
        cloud.jobs.delete(job.id)
        cloud.service(JobRunners).forget(job)
        cloud.service(Snapshots).forget_run(job)
        for folder in (runner.folder, artifacts_folder(cloud, job)):
            cloud.discard(folder)
