"""Snapshots of studios: the files and the environment that a job begins with."""

import asyncio
import shutil
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.host.copies import copy_files, copy_folders
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, Studio


class Snapshots:
    """The snapshots of one cloud: one for each run, shared by its jobs, or the present state of a studio."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = asyncio.Lock()

    async def copy_files(self, job: Job, studio: Studio, folder: Path) -> None:
        """Copy the files of a job's studio: those of the run's snapshot, or without a run the present ones."""
        run_id = run_of(job)
        await copy_files(await self._of_run(studio, run_id) if run_id else self._cloud.studio_folder(studio), folder)

    def copy_environment(self, job: Job, studio: Studio, destination: Path) -> None:
        """Copy the environment of a job's studio from the same source as its files, if there is one yet."""
        run_id = run_of(job)
        folder = self._folder(studio, run_id) if run_id else self._cloud.studio_folder(studio)
        if (folder / "environment").exists():
            self._cloud.environments.copy(folder / "environment", destination)

    def _folder(self, studio: Studio, run_id: str) -> Path:
        return self._cloud.root / "snapshots" / studio.id / run_id

    async def _of_run(self, studio: Studio, run_id: str) -> Path:
        if not run_id.isalnum():
            raise ApiError(400, f"{run_id!r} is no run")
        folder = self._folder(studio, run_id)
        # One snapshot for each run, because the SDK reuses a run for the whole life of its process.
        async with self._lock:
            if not folder.exists():
                partial = folder.with_name(f".{run_id}")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                await copy_folders(self._cloud.studio_folder(studio), partial, self._cloud.environments.copy)
                partial.rename(folder)
        return folder


def run_of(job: Job) -> str:
    """Return the id of the run whose snapshot a job begins with; empty without one."""
    return str(job.specification.get("runId") or "")
