"""The start and the end of the server, for its studios and jobs."""

import asyncio
import contextlib
from pathlib import Path

from lightning_native.emulator.host import processes
from lightning_native.emulator.host.copies import is_discarded, put_aside
from lightning_native.emulator.services import commands, pipelines, schedules, spending, studios
from lightning_native.emulator.services.files.drive import mount_now
from lightning_native.emulator.services.jobs import multi_machine
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.states import is_final
from lightning_native.emulator.services.sessions import readiness
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Fact
from lightning_native.emulator.state.root import LOST_AND_FOUND
from lightning_native.errors import EmulatorError

_TICK_SECONDS = 1.0


async def recover(cloud: Cloud) -> list[str]:
    """Continue the work of an earlier server: find running processes again, finish those that ended.

    Returns:
        the entries without a record, which are kept in `lost+found`, as paths there.

    """
    _check_mode(cloud)
    kept = _clear_away(cloud)
    if cloud.strict is not None:
        cloud.strict.adopt({item.marker for item in (*cloud.studios, *cloud.jobs)}, cloud.discard)
    for command in cloud.commands:
        if command.exit_code is None:
            process = processes.Process(command.pid, command.process)
            cloud.start_task(commands.follow(cloud, command, process))
    for teamspace in cloud.teamspaces:
        mount_now(cloud, teamspace.id)
    _recover_studios(cloud)
    await _recover_jobs(cloud)
    for pipeline in cloud.pipelines:
        if pipeline.state not in pipelines.FINAL:
            cloud.start_task(pipelines.run(cloud, pipeline))
    for schedule in cloud.schedules:
        cloud.start_task(schedules.run(cloud, schedule))
    cloud.start_task(_tick(cloud))
    cloud.start_task(spending.watch(cloud))
    return kept


def _check_mode(cloud: Cloud) -> None:
    """Raise unless a root is served in the mode of its studios, because strict machines run as another user."""
    known = cloud.facts.get("strict")
    strict = cloud.strict is not None
    if len(cloud.studios) or len(cloud.jobs):
        was_strict = known is not None and known.value
        if was_strict != strict:
            made, hint = ("with", "add it") if was_strict else ("without", "leave it out")
            raise EmulatorError(
                f"{cloud.root} has studios that were made {made} --strict; {hint}, or choose another --root"
            )
    cloud.facts.save(Fact("strict", strict))


def _recover_studios(cloud: Cloud) -> None:
    for studio in cloud.studios:
        if not cloud.studio_home(studio).is_dir():
            logger.warning("the files of studio %s are gone", studio.name)
            cloud.studio_home(studio).mkdir(parents=True)
            cloud.give(cloud.studio_home(studio), cloud.studio_home(studio))
        studio.requested = None
        if studio.instance is None:
            continue
        if studio.instance["phase"] == studios.STOPPING:
            cloud.start_task(studios.stop(cloud, studio))
        elif studio.instance["phase"] == studios.PENDING:
            cloud.start_task(studios.boot(cloud, studio, studio.instance))
        elif studio.instance["phase"] == studios.RUNNING and studio.instance.get("in_use_at") is not None:
            readiness.resume(cloud, studio, studio.instance)
            cloud.start_task(studios.run_session(cloud, studio, studio.instance, begins=False))


async def _recover_jobs(cloud: Cloud) -> None:
    for several in cloud.multi_machine_jobs:
        if len(multi_machine.machines_of(cloud, several)) != several.machines:
            several.has_ended = True
            await multi_machine.delete(cloud, several)
    for job in cloud.jobs:
        if is_final(job.state):
            cloud.end_of(job.id).set()
        elif job.multi_machine_id and cloud.multi_machine_jobs.get(job.multi_machine_id) is None:
            cloud.jobs.delete(job.id)
            cloud.discard(runner_of(cloud, job).folder)
        else:
            runner_of(cloud, job).begin()
    for several in cloud.multi_machine_jobs:
        if not several.has_ended:
            cloud.start_task(multi_machine.watch(cloud, several))


def _clear_away(cloud: Cloud) -> list[str]:
    """Remove folders that are recorded as half created or half removed; keep entries without a record aside."""
    in_work = {item.id for item in cloud.folders_in_work}
    studio_ids, job_ids = {studio.id for studio in cloud.studios}, {job.id for job in cloud.jobs}
    known = {
        "studios": studio_ids,
        "commands": studio_ids,
        "snapshots": studio_ids,
        "jobs": job_ids,
        "drives": {teamspace.id for teamspace in cloud.teamspaces},
    }
    strange = []
    for kind, ids in known.items():
        for entry in _entries(cloud.root / kind):
            if entry.name in in_work - ids:
                cloud.discard(entry)
            elif entry.name not in ids:
                strange.append(entry)
    for entry in (*_entries(cloud.root / "trash"), *_entries(cloud.root / "uploads" / "partial")):
        if is_discarded(entry.name):
            cloud.remove_discarded(entry)
        else:
            strange.append(entry)
    for key in in_work:
        cloud.folders_in_work.delete(key)
    lost_and_found = cloud.root / LOST_AND_FOUND
    kept = [place for entry in strange if (place := put_aside(entry, lost_and_found)) is not None]
    return [str(place.relative_to(lost_and_found)) for place in kept]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


async def _tick(cloud: Cloud) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        cloud.remember_time()
        await studios.sleep_when_idle(cloud)


async def shut_down(cloud: Cloud) -> None:
    """Stop every studio and job, so that no process of this cloud is left."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(pipelines.stop(cloud, pipeline) for pipeline in cloud.pipelines))
        await asyncio.gather(
            *(multi_machine.stop(cloud, several) for several in cloud.multi_machine_jobs),
            *(runner_of(cloud, job).stop(message="the local cloud was stopped") for job in cloud.jobs),
            *(studios.stop(cloud, studio) for studio in cloud.studios),
        )
