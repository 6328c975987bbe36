"""The cloud in memory, with the studios, jobs, pipelines and schedules in it."""

import sys
import threading
from collections.abc import Container, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import JobRequest, PipelineRequest
from lightning_native.lightning.copies import is_name_of_copy
from lightning_native.lightning.errors import cloud_errors
from lightning_native.lightning.machines import canonical_machine
from lightning_native.lightning.memory.job import MemoryJob, agent_words
from lightning_native.lightning.memory.pipeline import MemoryPipeline, MemorySchedule
from lightning_native.lightning.memory.process import Command, content_of, do_nothing
from lightning_native.lightning.memory.studio import MemoryStudio
from lightning_native.lightning.offers import MachineOffer
from lightning_native.lightning.verified_upload import upload_verified


class MemoryCloud:
    """Studios, jobs and pipelines that exist as long as this object does.

    Args:
        command: returns the behaviour of a step's command, given its arguments and variables; called once for each.

    Attributes:
        damaged_uploads: the number of the next uploads of which half arrives.
    """

    def __init__(self, command: Command = do_nothing) -> None:
        self.command = command
        self.studios: dict[str, MemoryStudio] = {}
        self.jobs: dict[str, MemoryJob] = {}
        self.pipelines: dict[str, MemoryPipeline] = {}
        self.timetable: dict[str, MemorySchedule] = {}
        self.drive: dict[str, bytes] = {}
        self.damaged_uploads = 0
        self.lock = threading.RLock()
        self._numbers = count(1)

    @property
    def machine_python(self) -> str:
        """The version of this process's Python."""
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    def find_studio(self, name: str) -> MemoryStudio | None:
        """Return the studio of this name, whether or not it runs."""
        return self.studios.get(name)

    def find_studios(self, name: str) -> list[MemoryStudio]:
        """Return the studio of this name, if there is one."""
        studio = self.studios.get(name)
        return [studio] if studio is not None else []

    def studio_names(self) -> list[str]:
        """Return the names of all studios."""
        return list(self.studios)

    def create_studio(self, name: str, *, ours: bool = True, cloud_account: str | None = None) -> MemoryStudio:
        """Return a studio of this name, created if it does not exist; it is not started."""
        del ours
        with self.lock:
            return self.studios.setdefault(name, MemoryStudio(self, name, cloud_account))

    def upload_to_drive(self, path: Path, remote_path: str) -> None:
        """Keep a file's content."""
        content = content_of(path)

        def store() -> None:
            with self.lock:
                self.drive[remote_path] = self.arriving(content)

        upload_verified(path, remote_path, store, partial(self.download_from_drive, remote_path))

    def arriving(self, content: bytes) -> bytes:
        """Return an upload as it arrives: damaged for as often as requested."""
        self.damaged_uploads, is_damaged = max(0, self.damaged_uploads - 1), self.damaged_uploads > 0
        return content[: len(content) // 2] if is_damaged else content

    def download_from_drive(self, remote_path: str, path: Path) -> bool:
        """Write a file's content, if there is one."""
        with self.lock:
            content = self.drive.get(remote_path)
        return content is not None and path.write_bytes(content) >= 0

    def remove_from_drive(self, remote_path: str) -> None:
        """Remove a folder."""
        with self.lock:
            for path in [path for path in self.drive if path.startswith(f"{remote_path}/")]:
                del self.drive[path]

    @property
    def default_cloud_account(self) -> None:
        """None, because there are no accounts."""

    @property
    def clock_rate(self) -> float:
        """One, because there is no clock."""
        return 1.0

    def offers(self) -> list[MachineOffer]:
        """Return nothing, because there are no machines."""
        return []

    def hourly_cost(
        self, machine: str, cloud_account: str | None = None, *, interruptible: bool = False
    ) -> float | None:
        """Return None, because there are no machines."""
        del cloud_account, interruptible
        canonical_machine(machine)
        return None

    def balance(self) -> float | None:
        """Return None, because nothing costs anything here."""
        return None

    def find_jobs(self, name: str) -> list[MemoryJob]:
        """Return the jobs submitted under a name."""
        with self.lock:
            names = [other for other in self.jobs if other == name or is_name_of_copy(name, other)]
            return [self.jobs[other] for other in sorted(names)]

    def run_job(self, request: JobRequest) -> MemoryJob:
        """Submit a job, with a number behind its name if that is taken."""
        with self.lock:
            self.check(request)
            return self.submit(request.name, request, {})

    def check(self, request: JobRequest) -> None:
        """Refuse a job that cannot begin."""
        with cloud_errors(f"submit job {request.name!r} on {request.machine}"):
            canonical_machine(request.machine)
        if request.studio is not None and request.studio not in self.studios:
            raise CloudError(f"there is no studio {request.studio!r} for job {request.name!r} to start from")
        agent_words(request)

    def submit(self, name: str, request: JobRequest, variables: Mapping[str, str]) -> MemoryJob:
        """Begin a job, of a pipeline or not, with the variables that Lightning gives it besides its name."""
        name = _free_name(name, self.jobs)
        job = self.jobs[name] = MemoryJob(self, name, request, {"LIGHTNING_JOB_NAME": name, **variables})
        return job

    def find_pipeline(self, name: str) -> MemoryPipeline | None:
        """Return the newest pipeline of this name."""
        with self.lock:
            return next((each for each in reversed(self.pipelines.values()) if each.name == name), None)

    def create_pipeline(self, request: PipelineRequest) -> MemoryPipeline:
        """Create a pipeline."""
        with self.lock:
            pipeline = MemoryPipeline(self, self.new_id("pipeline"), request)
            self.pipelines[pipeline.id] = pipeline
            return pipeline

    def schedules(self) -> list[MemorySchedule]:
        """Return the schedules of pipelines."""
        with self.lock:
            return [replace(schedule) for schedule in self.timetable.values()]

    def new_id(self, kind: str) -> str:
        """Return an id that nothing else here has."""
        return f"{kind}-{next(self._numbers)}"


def _free_name(name: str, taken: Container[str]) -> str:
    return name if name not in taken else next(free for n in count(2) if (free := f"{name}-{n}") not in taken)
