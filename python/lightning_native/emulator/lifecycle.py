"""What happens to studios and jobs when the server starts and when it ends."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from lightning_native.emulator import (
    commands,
    job_runner,
    jobs,
    multi_machine,
    pipelines,
    processes,
    schedules,
    studios,
)
from lightning_native.emulator.cloud import Cloud

_TICK_SECONDS = 1.0


async def recover(cloud: Cloud) -> None:
    """Take up what an earlier server left: find running processes again, finish what has ended."""
    _remove_half_made(cloud)
    for command in cloud.commands:
        if command.exit_code is None:
            process = processes.Process(command.pid, command.process)
            cloud.start_task(commands.follow(cloud, command, process))
    _recover_studios(cloud)
    await _recover_jobs(cloud)
    for pipeline in cloud.pipelines:
        if pipeline.state not in pipelines.FINAL:
            cloud.start_task(pipelines.run(cloud, pipeline))
    for schedule in cloud.schedules:
        cloud.start_task(schedules.run(cloud, schedule))
    cloud.start_task(_tick(cloud))


def _recover_studios(cloud: Cloud) -> None:
    for studio in cloud.studios:
        studio.requested = None
        if studio.instance is None:
            continue
        if studio.instance["phase"] == studios.STOPPING:
            cloud.start_task(studios.stop(cloud, studio))
        elif studio.instance["phase"] == studios.PENDING:
            cloud.start_task(studios.boot(cloud, studio, studio.instance))


async def _recover_jobs(cloud: Cloud) -> None:
    for several in cloud.multi_machine_jobs:
        if len(multi_machine.machines_of(cloud, several)) != several.machines:
            several.has_ended = True
            await multi_machine.delete(cloud, several)
    for job in cloud.jobs:
        if jobs.is_final(job.state):
            job_runner.finished(cloud, job.id).set()
        elif job.multi_machine_id and cloud.multi_machine_jobs.get(job.multi_machine_id) is None:
            cloud.jobs.delete(job.id)
        else:
            job_runner.begin(cloud, job)
    for several in cloud.multi_machine_jobs:
        if not several.has_ended:
            cloud.start_task(multi_machine.watch(cloud, several))


def _remove_half_made(cloud: Cloud) -> None:
    """Remove folders without a record: the record is written last, and deleted first."""
    cloud.discard(cloud.root / "uploads" / "partial")
    cloud.empty_trash()
    _keep_only(cloud, cloud.root / "studios", (studio.id for studio in cloud.studios))
    _keep_only(cloud, cloud.root / "commands", (studio.id for studio in cloud.studios))
    _keep_only(cloud, cloud.root / "snapshots", (studio.id for studio in cloud.studios))
    _keep_only(cloud, cloud.root / "jobs", (job.id for job in cloud.jobs))


def _keep_only(cloud: Cloud, folder: Path, names: Iterable[str]) -> None:
    kept = set(names)
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name not in kept:
            cloud.discard(entry)


async def _tick(cloud: Cloud) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        cloud.remember_time()
        await studios.sleep_when_idle(cloud)


async def shut_down(cloud: Cloud) -> None:
    """Stop every studio and job, so that nothing of this cloud is left running."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(pipelines.stop(cloud, pipeline) for pipeline in cloud.pipelines))
        await asyncio.gather(
            *(multi_machine.stop(cloud, several) for several in cloud.multi_machine_jobs),
            *(job_runner.stop(cloud, job, message="the local cloud was stopped") for job in cloud.jobs),
            *(studios.stop(cloud, studio) for studio in cloud.studios),
        )
