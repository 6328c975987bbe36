"""How a job runs: from a snapshot of its studio, as often as it may, until a state that is final.

What its machine needs is made while it boots: a job runs `job_start_seconds` after it was submitted, not later.

States: pending → running → completed, failed or stopped; restarting between attempts; stopping while processes end.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import stat
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import MACHINES
from lightning_native.emulator.host import processes
from lightning_native.emulator.host.copies import copy_files, copy_folders
from lightning_native.emulator.host.log_file import record_times
from lightning_native.emulator.services.files.drive import drive_folder, inside
from lightning_native.emulator.services.jobs import mounts
from lightning_native.emulator.services.variables import ENTER_HOME, job_environment
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Job, Studio

PENDING, RUNNING, RESTARTING, STOPPING = "pending", "running", "restarting", "stopping"
COMPLETED, FAILED, STOPPED = "completed", "failed", "stopped"
_FINAL = (COMPLETED, FAILED, STOPPED)
# It is there when the machine is, and waits until it may begin.
_SHELL = f'read -r go && exec </dev/null && {{ {ENTER_HOME}; bash "$0"; printf %s "$?" > "$1"; }}'
_NO_COMMAND = 125
_CAPACITY_POLL_SECONDS = 0.1
_STOP_AGAIN_SECONDS = 1.0
# Left out of a job's artifacts: caches that its code did not mean to keep.
_NO_ARTIFACTS = {".cache", "__pycache__", ".ipynb_checkpoints"}


def folder_of(cloud: Cloud, job: Job) -> Path:
    """Return the folder that holds all of a job."""
    return cloud.root / "jobs" / job.id


def output_of(cloud: Cloud, job: Job) -> Path:
    """Return the file with what a job wrote, both streams of all attempts."""
    return folder_of(cloud, job) / "output"


def home_of_job(cloud: Cloud, job: Job) -> Path:
    """Return the folder that a job's command runs in."""
    return folder_of(cloud, job) / "home"


def environment_of_job(cloud: Cloud, job: Job) -> Path:
    """Return the folder of a job's Python environment."""
    return folder_of(cloud, job) / "environment"


def cost(cloud: Cloud, job: Job) -> float:
    """Return what a job has cost so far, in dollars."""
    if job.started_at is None:
        return job.spent
    hours = ((job.stopped_at or cloud.clock.now()) - job.started_at) / 3600
    return job.spent + hours * MACHINES[job.machine].hourly(bool(job.specification.get("spot")))


async def prepare(cloud: Cloud, job: Job) -> None:
    """Make a job's folder: the studio's files as they are now, or as they were for the same snapshot."""
    folder = folder_of(cloud, job)
    folder.mkdir(parents=True)
    (folder / "output").touch()
    studio = cloud.studios.get(job.specification.get("cloudspaceId") or "")
    try:
        if studio is None:
            home_of_job(cloud, job).mkdir()
            cloud.give(home_of_job(cloud, job), home_of_job(cloud, job))
            return
        run_id = _run_of(job)
        await copy_files(await _snapshot(cloud, studio, run_id), folder)
        if studio.instance is not None and not run_id:
            # Whoever works in it may change it at any moment. That of a stopped studio waits for us.
            await asyncio.to_thread(_copy_environment, cloud, job)
    except BaseException:
        cloud.discard(folder)
        raise


def begin(cloud: Cloud, job: Job) -> None:
    """Bring a job in the background from where it is to a final state."""
    if job.state in (PENDING, RESTARTING):
        _boot(cloud, job)
    cloud.start_task(_run(cloud, job))


def _boot(cloud: Cloud, job: Job) -> None:
    cloud.machines_made[job.id] = cloud.start_task(_make_machine(cloud, job))


async def _make_machine(cloud: Cloud, job: Job) -> processes.Process:
    """Make what a job needs, and return the process that waits to run its command."""
    folder, directory = folder_of(cloud, job), home_of_job(cloud, job)
    await asyncio.to_thread(_copy_environment, cloud, job)
    snapshot = folder / "snapshot.json"
    if not snapshot.exists():
        snapshot.write_text(json.dumps(await asyncio.to_thread(_manifest, directory)))
    environment = environment_of_job(cloud, job)
    (folder / "exit_code").unlink(missing_ok=True)
    mounted = mounts.mount(cloud, job)
    namespace = await cloud.namespace_of(
        job.marker,
        directory,
        drive_folder(cloud, job.teamspace_id),
        environment=environment if environment.exists() else None,
        mounts=mounted,
        network=job.multi_machine_id or "",
    )
    (folder / "command").write_text(_script(cloud, job), encoding="utf-8", errors="surrogateescape")
    return processes.start(
        ["bash", "-c", _SHELL],
        folder=folder,
        directory=directory,
        environment=job_environment(cloud, job, namespace, directory=directory, environment=environment),
        output=output_of(cloud, job),
        namespace=namespace,
        waits=True,
    )


def _copy_environment(cloud: Cloud, job: Job) -> None:
    """Give a job the environment of its studio, or a new one where there is none."""
    destination = environment_of_job(cloud, job)
    studio = cloud.studios.get(job.specification.get("cloudspaceId") or "")
    if studio is not None and not destination.exists():
        run_id = _run_of(job)
        source = _snapshot_folder(cloud, studio, run_id) if run_id else cloud.studio_folder(studio)
        if (source / "environment").exists():
            cloud.environments.copy(source / "environment", destination)
    if studio is not None or cloud.strict is None:
        cloud.environments.create(destination, cloud.root / "templates")


def _run_of(job: Job) -> str:
    return str(job.specification.get("runId") or "")


def _snapshot_folder(cloud: Cloud, studio: Studio, run_id: str) -> Path:
    return cloud.root / "snapshots" / studio.id / run_id


async def _snapshot(cloud: Cloud, studio: Studio, run_id: str) -> Path:
    """Return a folder with a studio's files and environment: the studio's own, or the snapshot of a run."""
    if not run_id:
        return cloud.studio_folder(studio)
    if not run_id.isalnum():
        raise ApiError(400, f"{run_id!r} is no run")
    folder = _snapshot_folder(cloud, studio, run_id)
    # The SDK reuses a snapshot for the whole life of its process: files that came later are not in it.
    async with cloud.snapshot_lock:
        if not folder.exists():
            partial = folder.with_name(f".{run_id}")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            await copy_folders(cloud.studio_folder(studio), partial, cloud.environments.copy)
            partial.rename(folder)
    return folder


async def _run(cloud: Cloud, job: Job) -> None:
    if job.state in _FINAL:
        # It was stopped before its turn came.
        return
    if job.state == STOPPING and not job.pid:
        if job.id not in cloud.machines_made:
            # The server that was stopping it is gone.
            await _finish(cloud, job, STOPPED)
        return
    process = processes.Process(job.pid, job.process)
    while True:
        if job.state in (PENDING, RESTARTING):
            if not await _wait_for_machine(cloud, job):
                return
            process = cloud.machines_made.pop(job.id).result()
            _start(cloud, job, process)
        async with record_times(output_of(cloud, job), cloud.clock):
            await process.wait()
        async with cloud.interrupt_lock:
            # What ends an attempt must be done before the next one begins, whose processes it would end as well.
            pass
        final = STOPPED if job.state == STOPPING else _settle(cloud, job)
        if final:
            log_ended(cloud, job.id).set()
            await _finish(cloud, job, final)
            return
        _boot(cloud, job)


async def _wait_for_machine(cloud: Cloud, job: Job) -> bool:
    """Wait until a job can run; return whether it is still to, or has ended meanwhile."""
    waiting = job.state
    asked_at = job.created_at if waiting == PENDING else cloud.clock.now()
    await cloud.clock.sleep(asked_at + cloud.settings.job_start_seconds_of(job.machine) - cloud.clock.now())
    while job.state == waiting and cloud.faults.is_out_of_capacity(job.machine):
        await asyncio.sleep(_CAPACITY_POLL_SECONDS)
    await _made(cloud, job)
    if job.state == waiting and (error := cloud.machines_made[job.id].exception()) is not None:
        job.message = f"its machine cannot be made: {error}"
        await _finish(cloud, job, FAILED)
    return job.state == waiting


async def _made(cloud: Cloud, job: Job) -> None:
    if (making := cloud.machines_made.get(job.id)) is not None:
        await asyncio.wait([making])


def _start(cloud: Cloud, job: Job, process: processes.Process) -> None:
    job.pid, job.process = process.pid, process.identity
    job.started_at = cloud.clock.now()
    job.state = RUNNING
    process.go()
    cloud.jobs.save(job)
    if job.specification.get("spot") and (fault := cloud.faults.take("reclaim", machine=job.machine, name=job.name)):
        cloud.start_task(_reclaim(cloud, job, fault.seconds))


async def _reclaim(cloud: Cloud, job: Job, seconds: float) -> None:
    attempt = job.attempt
    await cloud.clock.sleep(seconds)
    if job.attempt == attempt:
        await interrupt(cloud, job, "the interruptible machine was reclaimed")


def _script(cloud: Cloud, job: Job) -> str:
    command = str(job.specification.get("command") or "")
    if job.specification.get("cloudspaceId"):
        return f"set -e\n{command}\n"
    image = str(job.specification.get("image"))
    if not cloud.warned_of_images:
        cloud.warned_of_images = True
        logger.warning("no container engine: jobs from an image (%s) run on this computer itself", image)
    entrypoint = shlex.split(str(job.specification.get("entrypoint") or ""))
    if not entrypoint and not command:
        return f"echo what {shlex.quote(image)} runs by itself cannot run in the local cloud\nexit {_NO_COMMAND}\n"
    # A shell takes the command as one argument, any other entrypoint takes its words.
    words = [command] if entrypoint and entrypoint[-1] == "-c" else shlex.split(command)
    return f"exec {shlex.join([*entrypoint, *words])}\n"


def _settle(cloud: Cloud, job: Job) -> str:
    """Record how an attempt ended; return the state that is final, or nothing when there is another attempt."""
    try:
        job.exit_code = int((folder_of(cloud, job) / "exit_code").read_text())
    except (OSError, ValueError):
        job.exit_code = None
    if job.exit_code == 0:
        return COMPLETED
    reason = job.message or (
        f"the command ended with exit code {job.exit_code}"
        if job.exit_code is not None
        else "its process was killed, or it was lost while the local cloud was not running"
    )
    if job.attempt < int(job.specification.get("maxRunAttempts") or 1):
        job.spent = cost(cloud, job)
        job.attempt += 1
        job.restarts += 1
        job.state, job.pid, job.started_at, job.message = RESTARTING, 0, None, ""
        cloud.jobs.save(job)
        return ""
    job.message = reason
    return FAILED


async def _finish(cloud: Cloud, job: Job, final: str) -> None:
    # While the state is not final yet, so that who waits for it finds the artifacts.
    await cloud.end_processes(job.marker)
    cloud.forget_namespace(job.marker)
    mounts.unmount(cloud, job)
    making = cloud.machines_made.pop(job.id, None)
    if making is not None and making.exception() is None:
        # It waited for its turn when it was ended.
        making.result().go()
        await making.result().wait()
    if job.started_at is not None:
        try:
            await asyncio.to_thread(_collect_artifacts, cloud, job)
        except (OSError, ValueError) as error:
            logger.error("what job %s wrote cannot be kept: %s", job.name, error)
    job.state, job.pid = final, 0
    job.stopped_at = cloud.clock.now()
    if cloud.jobs.get(job.id) is job:
        cloud.jobs.save(job)
    cloud.discard(home_of_job(cloud, job))
    cloud.discard(environment_of_job(cloud, job))
    log_ended(cloud, job.id).set()
    finished(cloud, job.id).set()


async def interrupt(cloud: Cloud, job: Job, message: str) -> None:
    """Take a job's machine away: it starts again if it has attempts left."""
    if job.state == RUNNING:
        job.message, job.was_interrupted = message, True
        async with cloud.interrupt_lock:
            await cloud.end_processes(job.marker)


def _manifest(home: Path) -> dict[str, list[int]]:
    """Return what tells whether a file is still the same, by path."""
    found: dict[str, list[int]] = {}
    if home.is_symlink():
        # The job put it there: what it leads to is not what the job wrote.
        return found
    for folder, folders, files in os.walk(home):
        folders[:] = [name for name in folders if name not in _NO_ARTIFACTS]
        for name in files:
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                status = path.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    key = os.fsencode(path.relative_to(home)).decode(errors="surrogateescape")
                    found[key] = [status.st_ino, status.st_size, status.st_ctime_ns]
    return found


def _collect_artifacts(cloud: Cloud, job: Job) -> None:
    """Move what a job wrote to the drive: the files that are not as they were in its snapshot."""
    home = home_of_job(cloud, job)
    before = json.loads((folder_of(cloud, job) / "snapshot.json").read_text())
    drive = drive_folder(cloud, job.teamspace_id)
    for path, state in _manifest(home).items():
        if before.get(path) != state:
            try:
                # Code has the drive mounted, and may put links into it.
                target = inside(drive, f"jobs/{job.name}/{path}")
                target.parent.mkdir(parents=True, exist_ok=True)
                (home / path).replace(target)
                cloud.give(target, drive)
            except (ApiError, OSError) as error:
                logger.error("a file that job %s wrote cannot be kept: %s", job.name, error)


async def stop(cloud: Cloud, job: Job, *, message: str = "") -> None:
    """End a job and wait until it is in a final state; nothing to do for one that is."""
    if job.state in _FINAL:
        return
    if job.state != STOPPING:
        was_waiting = job.pid == 0
        job.state, job.message = STOPPING, message
        cloud.jobs.save(job)
        if was_waiting:
            # Its runner sleeps until a machine would be there.
            await _made(cloud, job)
            await _finish(cloud, job, STOPPED)
            return
    done = finished(cloud, job.id)
    while not done.is_set():
        # Again and again: a process that was just being made when they were counted is not among them.
        await cloud.end_processes(job.marker)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(done.wait(), _STOP_AGAIN_SECONDS)


def log_ended(cloud: Cloud, job_id: str) -> asyncio.Event:
    """Return the event that is set when a job's command has ended for good, so that who follows its log may go."""
    return cloud.ended_logs.setdefault(job_id, asyncio.Event())


def finished(cloud: Cloud, job_id: str) -> asyncio.Event:
    """Return the event that is set when a job is in a final state."""
    return cloud.finished_jobs.setdefault(job_id, asyncio.Event())
