"""Jobs on several machines: one job for each machine, which finds the others through its variables."""

import asyncio
import socket
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import machine_type
from lightning_native.emulator.services.jobs import billing, single_machine
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.states import (
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SAVING,
    STOPPED,
    STOPPING,
    is_final,
)
from lightning_native.emulator.services.money import require_funds
from lightning_native.emulator.services.names import free_name, slug
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, MultiMachineJob
from lightning_native.emulator.state.store import new_id

_MAX_MACHINES = 64


def machines_of(cloud: Cloud, several: MultiMachineJob) -> list[Job]:
    """Return the machines of a job by rank."""
    found = [job for job in cloud.jobs if job.multi_machine_id == several.id]
    return sorted(found, key=lambda job: job.rank)


def state_of(cloud: Cloud, several: MultiMachineJob) -> str:
    """Return the state of the whole, in the words of a job on one machine."""
    states = [job.state for job in machines_of(cloud, several)]
    if several.has_ended:
        return _outcome(states)
    if several.is_stopping:
        return STOPPING
    if all(state == PENDING for state in states):
        return PENDING
    if all(state == SAVING or is_final(state) for state in states):
        return SAVING
    return RUNNING


def _outcome(states: list[str]) -> str:
    # The others are stopped when one fails.
    return next((state for state in (FAILED, STOPPED) if state in states), COMPLETED)


async def create(cloud: Cloud, teamspace_id: str, body: dict[str, Any], **fields: Any) -> MultiMachineJob:
    """Create a job on several machines and start it."""
    require_funds(cloud)
    specification = body.get("spec") or {}
    single_machine.check_source(cloud, specification)
    machine, _ = single_machine.machine_for(cloud, specification)
    count = int(body.get("machines") or 0)
    if not 1 <= count <= _MAX_MACHINES:
        raise ApiError(400, f"a job runs on 1 to {_MAX_MACHINES} machines, not {count}")
    several = MultiMachineJob(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=free_name(slug(str(body.get("name") or "")), single_machine.job_names(cloud, teamspace_id)),
        specification={**specification, "instanceName": machine.slug},
        created_at=cloud.clock.now(),
        machines=count,
        max_attempts=int(body.get("maxRunAttempts") or 1),
        **fields,
    )
    # Saved before its machines, which belong to nothing without it.
    cloud.multi_machine_jobs.save(several)
    try:
        await _create_machines(cloud, several)
    except BaseException:
        several.has_ended = True
        await delete(cloud, several)
        raise
    cloud.start_task(watch(cloud, several))
    return several


async def _create_machines(cloud: Cloud, several: MultiMachineJob) -> None:
    address = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(several.machines * _devices(several)),
        "NUM_NODES": str(several.machines),
    }
    await asyncio.gather(
        *(
            single_machine.create(
                cloud,
                several.teamspace_id,
                f"{several.name}-{rank}",
                # All machines are started again together, not each by itself.
                {**several.specification, "maxRunAttempts": 1},
                multi_machine_id=several.id,
                pipeline_id=several.pipeline_id,
                rank=rank,
                tags=several.tags,
                extra_env={**several.extra_env, **address, "NODE_RANK": str(rank)},
            )
            for rank in range(several.machines)
        )
    )


def _devices(several: MultiMachineJob) -> int:
    """Return the number of devices in a machine, as the platform counts them."""
    machine = machine_type(str(several.specification["instanceName"]))
    return machine.count if machine.is_gpu else 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def message_of(cloud: Cloud, several: MultiMachineJob) -> str:
    """Return the reason of the first machine that failed, or else that was stopped; empty when none was."""
    machines = machines_of(cloud, several)
    return next((job.message for state in (FAILED, STOPPED) for job in machines if job.state == state), "")


def cost(cloud: Cloud, several: MultiMachineJob) -> float:
    """Return the cost of all machines so far, in dollars."""
    return several.spent + sum(billing.cost(cloud, job) for job in machines_of(cloud, several))


def reported_cost(cloud: Cloud, several: MultiMachineJob) -> float:
    """Return the cost of all machines as the platform reports it so far."""
    return several.spent + sum(billing.reported_cost(cloud, job) for job in machines_of(cloud, several))


async def watch(cloud: Cloud, several: MultiMachineJob) -> None:
    """Stop all machines when one fails, and start them again while there are attempts left."""
    while True:
        machines = machines_of(cloud, several)
        waiting = {asyncio.create_task(cloud.end_of(job.id).wait()): job for job in machines}
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            ended = [waiting.pop(task) for task in done]
            if any(job.state == FAILED for job in ended):
                others = [runner_of(cloud, job).stop(message="another machine failed") for job in waiting.values()]
                await asyncio.gather(*others)
        failed = _outcome([job.state for job in machines]) == FAILED
        if not failed or several.is_stopping or several.attempt >= several.max_attempts:
            break
        several.attempt += 1
        several.spent += sum(billing.cost(cloud, job) for job in machines)
        for job in machines:
            await single_machine.delete(cloud, job)
        if cloud.multi_machine_jobs.get(several.id) is not several:
            return
        await _create_machines(cloud, several)
        cloud.multi_machine_jobs.save(several)
        if several.is_stopping:
            # The stop arrived while the machines were created again.
            await asyncio.gather(*(runner_of(cloud, job).stop() for job in machines_of(cloud, several)))
    several.has_ended = True
    if cloud.multi_machine_jobs.get(several.id) is several:
        cloud.multi_machine_jobs.save(several)
    cloud.end_of(several.id).set()


async def stop(cloud: Cloud, several: MultiMachineJob, *, message: str = "") -> None:
    """End all machines and wait until they have ended; does nothing when they have."""
    if several.has_ended:
        return
    several.is_stopping = True
    cloud.multi_machine_jobs.save(several)
    await asyncio.gather(*(runner_of(cloud, job).stop(message=message) for job in machines_of(cloud, several)))
    await cloud.end_of(several.id).wait()


async def delete(cloud: Cloud, several: MultiMachineJob) -> None:
    """Delete a job on several machines with its machines."""
    await stop(cloud, several)
    cloud.multi_machine_jobs.delete(several.id)
    for job in machines_of(cloud, several):
        await single_machine.delete(cloud, job)
