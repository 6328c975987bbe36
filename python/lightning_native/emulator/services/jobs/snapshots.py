"""Snapshots of studios: the files and the environment that a job begins with."""

import asyncio
import os
import shutil
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.host.copies import copy_files, copy_folders
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, Studio


class Snapshots:
    """The snapshots of one cloud: one for each run, kept for its jobs, or the present state of a studio.

    A snapshot takes time, and has the files of its end: the caller of the API has had its answer by then.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._taking: dict[Path, asyncio.Task[None]] = {}

    @property
    def take_time(self) -> bool:
        """Whether a job is submitted before its snapshot is taken."""
        return self._cloud.settings.profile.snapshot_seconds > 0

    async def copy_files(self, job: Job, studio: Studio, folder: Path) -> None:
        """Copy the files of a job's studio: those of the run's snapshot, or without a run the present ones."""
        if run_id := run_of(job):
            await copy_files(await self._of_run(studio, run_id), folder)
            return
        await self._wait(studio)
        await copy_files(self._cloud.studio_folder(studio), folder)

    def copy_environment(self, job: Job, studio: Studio, destination: Path) -> None:
        """Copy the environment of a job's studio from the same source as its files, if there is one yet."""
        run_id = run_of(job)
        folder = self._folder(studio, run_id) if run_id else self._cloud.studio_folder(studio)
        if (folder / "environment").exists():
            self._cloud.environments.copy(folder / "environment", destination)

    def forget_run(self, job: Job) -> None:
        """Remove the snapshot of a deleted job's run, unless another job of that run exists."""
        run_id, studio_id = run_of(job), str(job.specification.get("cloudspaceId") or "")
        others = (run_of(other) == run_id for other in self._cloud.jobs if other is not job)
        if run_id.isalnum() and studio_id and not any(others):
            self._cloud.discard(self._cloud.root / "snapshots" / studio_id / run_id)

    async def _wait(self, studio: Studio) -> None:
        """Wait as long as a snapshot takes: the longer, the more files a studio has."""
        profile = self._cloud.settings.profile
        seconds = profile.snapshot_seconds
        if seconds and profile.snapshot_files_per_second:
            files = await asyncio.to_thread(_files_below, self._cloud.studio_home(studio))
            seconds += files / profile.snapshot_files_per_second
        if seconds:
            await self._cloud.clock.sleep(seconds)

    def _folder(self, studio: Studio, run_id: str) -> Path:
        return self._cloud.root / "snapshots" / studio.id / run_id

    async def _of_run(self, studio: Studio, run_id: str) -> Path:
        if not run_id.isalnum():
            raise ApiError(400, f"{run_id!r} is no run")
        folder = self._folder(studio, run_id)
        # One snapshot for each run, because the SDK reuses a run for the whole life of its process. A task of its own,
        # because the job that asked first may end before the snapshot is taken.
        if not folder.exists():
            if folder not in self._taking:
                self._taking[folder] = self._cloud.start_task(self._take(studio, folder))
            await asyncio.shield(self._taking[folder])
        return folder

    async def _take(self, studio: Studio, folder: Path) -> None:
        try:
            await self._wait(studio)
            partial = folder.with_name(f".{folder.name}")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            await copy_folders(self._cloud.studio_folder(studio), partial, self._cloud.environments.copy)
            partial.rename(folder)
        finally:
            del self._taking[folder]


def _files_below(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def run_of(job: Job) -> str:
    """Return the id of the run whose snapshot a job begins with; empty without one."""
    return str(job.specification.get("runId") or "")
