"""The runner of a job: it begins with a snapshot of a studio, has one or more attempts, and ends in a final state.

The machine is created while it boots, so that a job runs `job_start_seconds` after its snapshot and not later.
"""

import asyncio
import contextlib
import shlex
import shutil
from collections.abc import Coroutine
from typing import Any

from lightning_native.emulator.host import processes
from lightning_native.emulator.host.log_file import record_times
from lightning_native.emulator.services.files.drive import drive_folder, other_studios, read_only_folders
from lightning_native.emulator.services.jobs import artifacts, billing, mounts
from lightning_native.emulator.services.jobs.snapshots import Snapshots, run_of
from lightning_native.emulator.services.jobs.states import (
    COMPLETED,
    FAILED,
    PENDING,
    RESTARTING,
    RUNNING,
    SAVING,
    STOPPED,
    STOPPING,
    is_final,
)
from lightning_native.emulator.services.variables import ENTER_HOME, job_variables
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Job, Studio
from lightning_native.errors import EmulatorError

# The shell exists as soon as the machine does, and waits for the line that lets it begin.
_SHELL = f'read -r go && exec </dev/null && {{ {ENTER_HOME}; bash "$0"; printf %s "$?" > "$1"; }}'
_NO_COMMAND = 125
_CAPACITY_POLL_SECONDS = 0.1
_STOP_AGAIN_SECONDS = 1.0


class JobRunner:
    """One job: its files, and its way to a final state.

    Attributes:
        folder: the folder that holds all of the job.
        home: the folder that its command runs in.
        environment: the folder of its Python environment.
        output: the file with its output, both streams of all attempts.
        log_ended: set when its command has ended for good, so that readers of its log can stop.
        finished: set when it is in a final state.

    """

    def __init__(self, cloud: Cloud, job: Job) -> None:
        self._cloud = cloud
        self._job = job
        self.folder = cloud.root / "jobs" / job.id
        self.home = self.folder / "home"
        self.environment = self.folder / "environment"
        self.output = self.folder / "output"
        self._note = self.folder / "snapshot.json"
        self.log_ended = asyncio.Event()
        self.finished = cloud.end_of(job.id)
        # The task that creates its machine while it boots.
        self._machine: asyncio.Task[processes.Process] | None = None
        self._files_ready = asyncio.Event()
        # Set by a request to end the job, which ends every wait.
        self._ending = asyncio.Event()
        # An interruption is complete before the next attempt begins, whose processes it would end as well.
        self._interrupting = asyncio.Lock()

    @property
    def log_is_late(self) -> bool:
        """Whether the log of the ended job is not there yet."""
        seconds, job = self._cloud.settings.profile.log_seconds, self._job
        return is_final(job.state) and self._cloud.clock.now() < (job.stopped_at or 0.0) + seconds

    @property
    def log_is_whole(self) -> bool:
        """Whether nothing is added to its log any more."""
        return is_final(self._job.state) or self.log_ended.is_set()

    @property
    def _studio(self) -> Studio | None:
        return self._cloud.studios.get(self._job.specification.get("cloudspaceId") or "")

    async def prepare(self) -> None:
        """Create the job's folder, with its files unless these take time."""
        self.folder.mkdir(parents=True)
        self.output.touch()
        studio = self._studio
        if studio is not None:
            self._report("Snapshotting Studio")
        if studio is None or not self._cloud.service(Snapshots).take_time:
            try:
                await self._copy_files(studio)
            except BaseException:
                self._cloud.discard(self.folder)
                raise

    async def _copy_files(self, studio: Studio | None) -> None:
        """Give the job the files of its studio as they are now, or as they were for the same run."""
        cloud = self._cloud
        if studio is None:
            self.home.mkdir()
            cloud.give(self.home, self.home)
            return
        # Renamed at the end, because a job that has its home has all of it.
        partial = self.folder / "snapshot"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        await cloud.service(Snapshots).copy_files(self._job, studio, partial)
        if cloud.studios.get(studio.id) is not studio:
            raise EmulatorError("its studio was deleted before the snapshot was taken")
        (partial / "home").rename(self.home)
        if studio.instance is not None and not run_of(self._job):
            # A user may change the environment of a running studio at any moment; a stopped studio waits for us.
            await asyncio.to_thread(self._copy_environment)

    @property
    def needs_studio(self) -> bool:
        """Whether its machine is being made from files that it has, so that its studio has to stay as it is."""
        return self._files_ready.is_set() and self._machine is not None

    def begin(self) -> None:
        """Run the job in the background from its present state to a final one."""
        if self._job.state in (PENDING, RESTARTING):
            self._boot()
        self._cloud.start_task(self._run())

    def _boot(self) -> None:
        self._machine = self._cloud.start_task(self._create_machine())

    async def _create_machine(self) -> processes.Process:
        """Create the machine of the job, and return the process that waits to run its command."""
        cloud, job = self._cloud, self._job
        if not self.home.exists():
            await self._copy_files(self._studio)
        self._files_ready.set()
        await asyncio.to_thread(self._copy_environment)
        await asyncio.to_thread(artifacts.note_files, self.home, self._note)
        (self.folder / "exit_code").unlink(missing_ok=True)
        mounted = mounts.mount(cloud, job)
        disks = mounts.make_disks(cloud, job, self.folder / "scratch")
        namespace = await cloud.namespace_of(
            job.marker,
            self.home,
            drive_folder(cloud, job.teamspace_id),
            environment=self.environment if self.environment.exists() else None,
            mounts=mounted,
            disks=disks,
            network=job.multi_machine_id or "",
            read_only=read_only_folders(cloud, job=True),
            studios=other_studios(cloud, job.teamspace_id),
        )
        (self.folder / "command").write_text(self._script(), encoding="utf-8", errors="surrogateescape")
        return processes.start(
            ["bash", "-c", _SHELL],
            folder=self.folder,
            directory=self.home,
            variables=job_variables(cloud, job, namespace, directory=self.home, environment=self.environment),
            output=self.output,
            namespace=namespace,
            waits=True,
        )

    def _copy_environment(self) -> None:
        """Give the job the environment of its studio, or a new one without a studio."""
        studio = self._studio
        if studio is not None and not self.environment.exists():
            self._cloud.service(Snapshots).copy_environment(self._job, studio, self.environment)
        if studio is not None or self._cloud.strict is None:
            self._cloud.environments.create(self.environment, self._cloud.root / "templates")

    async def _run(self) -> None:
        job = self._job
        if is_final(job.state):
            # The job was stopped before this task began.
            return
        if job.state == SAVING:
            # An earlier server was saving its outputs.
            await self._finish(job.outcome)
            return
        if job.state == STOPPING and not job.pid:
            if self._machine is None:
                # An earlier server was stopping it.
                await self._finish(STOPPED)
            return
        process = processes.Process(job.pid, job.process)
        while True:
            if job.state in (PENDING, RESTARTING):
                made = await self._wait_for_machine()
                if made is None:
                    return
                process = made
                self._start(process)
            async with record_times(self.output, self._cloud.clock):
                await process.wait()
            async with self._interrupting:
                pass
            final = STOPPED if job.state == STOPPING else self._settle()
            if final:
                self.log_ended.set()
                await self._finish(final)
                return
            self._boot()

    async def _wait_for_machine(self) -> processes.Process | None:
        """Wait until the job can run, and return the process that is to begin; None when it has ended meanwhile."""
        cloud, job = self._cloud, self._job
        waiting = job.state
        asked_at = job.created_at if waiting == PENDING else cloud.clock.now()
        if self.home.exists():
            self._files_ready.set()
        else:
            await self._first_of(self._files_ready.wait(), self.machine_created())
            asked_at = cloud.clock.now()
        await self._sleep(asked_at + cloud.settings.job_start_seconds_of(job.machine) - cloud.clock.now())
        while job.state == waiting and cloud.faults.is_out_of_capacity(job.machine):
            await asyncio.sleep(_CAPACITY_POLL_SECONDS)
        provisioning = cloud.settings.profile.provision_seconds
        if job.state == waiting and provisioning:
            job.billed_at = cloud.clock.now()
            await self._sleep(provisioning)
        await self.machine_created()
        if job.state != waiting or self._machine is None:
            return None
        if (error := self._machine.exception()) is not None:
            job.message, job.billed_at = f"its machine cannot be made: {error}", None
            await self._finish(FAILED)
            return None
        made, self._machine = self._machine.result(), None
        return made

    async def _sleep(self, seconds: float) -> None:
        """Wait so many simulated seconds, or until the job is asked to end."""
        if seconds > 0:
            await self._first_of(self._cloud.clock.sleep(seconds))

    async def _first_of(self, *waits: Coroutine[Any, Any, Any]) -> None:
        """Wait until one of these is done, or the job is asked to end."""
        tasks = [asyncio.create_task(wait) for wait in (*waits, self._ending.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _report(self, line: str) -> None:
        """Add a line of the platform to the job's log."""
        if self._cloud.settings.profile.platform_lines:
            with self.output.open("a") as output:
                output.write(f"{line}\n")

    async def machine_created(self) -> None:
        """Wait until the machine is created, if the job boots."""
        if self._machine is not None:
            await asyncio.wait([self._machine])

    def _start(self, process: processes.Process) -> None:
        cloud, job = self._cloud, self._job
        job.pid, job.process = process.pid, process.identity
        job.started_at = cloud.clock.now()
        # Counted from the end of the snapshot, whose time the platform does not call that of the machine.
        self._report(f"Machine available after {job.started_at - (job.billed_at or job.created_at):.0f}s")
        job.state = RUNNING
        process.go()
        cloud.jobs.save(job)
        self.take_interruption()

    def take_interruption(self) -> None:
        """Let the fault that is due for an interruptible machine, if there is one, interrupt it in its time."""
        cloud, job = self._cloud, self._job
        if job.state != RUNNING or job.started_at is None or not job.specification.get("spot"):
            return
        if fault := cloud.faults.take("interrupt", machine=job.machine, name=job.name):
            cloud.start_task(self._interrupt_later(job.started_at + fault.seconds - cloud.clock.now()))

    async def _interrupt_later(self, seconds: float) -> None:
        attempt = self._job.attempt
        await self._cloud.clock.sleep(seconds)
        if self._job.attempt == attempt:
            await self.interrupt("the interruptible machine was interrupted")

    def _script(self) -> str:
        specification = self._job.specification
        command = str(specification.get("command") or "")
        if specification.get("cloudspaceId"):
            return f"set -e\n{command}\n"
        image = str(specification.get("image"))
        runners = self._cloud.service(JobRunners)
        if not runners.warned_of_images:
            runners.warned_of_images = True
            logger.warning("no container engine: jobs from an image (%s) run on this computer itself", image)
        entrypoint = shlex.split(str(specification.get("entrypoint") or ""))
        if not entrypoint and not command:
            return f"echo what {shlex.quote(image)} runs by itself cannot run in the local cloud\nexit {_NO_COMMAND}\n"
        # A shell gets the command as one argument, any other entrypoint gets its words.
        words = [command] if entrypoint and entrypoint[-1] == "-c" else shlex.split(command)
        return f"exec {shlex.join([*entrypoint, *words])}\n"

    def _settle(self) -> str:
        """Record the end of an attempt; return the final state, or nothing when there is another attempt."""
        job = self._job
        try:
            job.exit_code = int((self.folder / "exit_code").read_text())
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
            job.spent = billing.cost(self._cloud, job)
            job.attempt += 1
            job.restarts += 1
            job.state, job.pid, job.billed_at, job.started_at, job.message = RESTARTING, 0, None, None, ""
            self._cloud.jobs.save(job)
            if self._cloud.strict is not None:
                # The next attempt has another machine, with nothing of this one outside of home.
                self._cloud.forget_namespace(job.marker)
            return ""
        job.message = reason
        return FAILED

    async def _finish(self, final: str) -> None:
        # The state becomes final last, so that a client that waits for it finds the artifacts.
        cloud, job = self._cloud, self._job
        await cloud.end_processes(job.marker)
        cloud.forget_namespace(job.marker)
        mounts.unmount(cloud, job)
        cloud.discard(self.folder / "scratch")
        creating, self._machine = self._machine, None
        if creating is not None and not creating.done():
            creating.cancel()
            await asyncio.wait([creating])
        if creating is not None and not creating.cancelled() and creating.exception() is None:
            # The process was still waiting when the job was ended.
            creating.result().go()
            await creating.result().wait()
        if job.started_at is not None:
            self.log_ended.set()
            final = await self._save_outputs(final)
        job.state, job.pid = final, 0
        job.stopped_at = cloud.clock.now()
        if cloud.jobs.get(job.id) is job:
            cloud.jobs.save(job)
        cloud.discard(self.home)
        cloud.discard(self.environment)
        self.log_ended.set()
        self.finished.set()

    async def _save_outputs(self, final: str) -> str:
        """Collect the job's artifacts, which takes time unless it was stopped, and return its final state."""
        cloud, job = self._cloud, self._job
        if final != STOPPED and cloud.settings.profile.save_seconds:
            job.state, job.outcome, job.pid = SAVING, final, 0
            cloud.jobs.save(job)
            await self._sleep(cloud.settings.profile.save_seconds)
            final = job.outcome
        try:
            await asyncio.to_thread(artifacts.collect, cloud, job, self.home, self._note)
        except (OSError, ValueError) as error:
            logger.error("what job %s wrote cannot be kept: %s", job.name, error)
        return final

    async def interrupt(self, message: str) -> None:
        """Interrupt the job's machine: the job starts again if it has attempts left."""
        if self._job.state == RUNNING:
            self._job.message, self._job.was_interrupted = message, True
            async with self._interrupting:
                await self._cloud.end_processes(self._job.marker)

    async def run_out_of_funds(self, message: str) -> None:
        """End the job because no money is left for its machine; one that has no machine yet fails."""
        await self.stop(message=message, waiting=STOPPED if self._job.billed_at is not None else FAILED)

    async def stop(self, *, message: str = "", waiting: str = STOPPED) -> None:
        """End the job and wait for its final state, `waiting` before it runs; does nothing if it has one."""
        job = self._job
        if is_final(job.state):
            return
        if job.state == SAVING:
            # The platform then calls the job stopped, whatever its command did.
            job.outcome, job.message = STOPPED, message
            self._ending.set()
            await self.finished.wait()
            return
        if job.state != STOPPING:
            was_waiting = job.pid == 0
            job.state, job.message = STOPPING, message
            self._ending.set()
            self._cloud.jobs.save(job)
            if was_waiting:
                if self._files_ready.is_set():
                    await self.machine_created()
                await self._finish(waiting)
                return
        while not self.finished.is_set():
            # Repeated, because a process that starts during a search is missed by it.
            await self._cloud.end_processes(job.marker)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.finished.wait(), _STOP_AGAIN_SECONDS)


class JobRunners:
    """The runners of one cloud, by job."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._runners: dict[str, JobRunner] = {}
        self.warned_of_images = False

    def of(self, job: Job) -> JobRunner:
        """Return the runner of a job."""
        if job.id not in self._runners:
            self._runners[job.id] = JobRunner(self._cloud, job)
        return self._runners[job.id]

    def forget(self, job: Job) -> None:
        """Forget the runner of a deleted job."""
        self._runners.pop(job.id, None)
        self._cloud.forget_end(job.id)

    async def wait_for_copies(self, studio_id: str) -> None:
        """Wait until no job that boots needs a stopped studio to stay as it is."""
        for key, runner in list(self._runners.items()):
            job = self._cloud.jobs.get(key)
            if job is not None and job.specification.get("cloudspaceId") == studio_id and runner.needs_studio:
                await runner.machine_created()


def runner_of(cloud: Cloud, job: Job) -> JobRunner:
    """Return the runner of a job."""
    return cloud.service(JobRunners).of(job)
