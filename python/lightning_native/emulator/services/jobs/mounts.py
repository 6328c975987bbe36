"""Mounts of jobs: folders of the drive, as links on this computer because it has no container engine, and disks."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.files.drive import CONNECTION_FOLDERS, drive_folder, inside, mount_now
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job

# Every user may create links here, and a job may write outside of the cloud's root only here.
_PLACE = PurePosixPath("/tmp")  # noqa: S108  in a container
_SCRATCH = PurePosixPath("/teamspace/scratch")


def check_mounts(cloud: Cloud, teamspace_id: str, specification: dict[str, Any]) -> None:
    """Raise unless a job's folders can be mounted."""
    for _ in _mounts(cloud, teamspace_id, specification):
        pass
    for _ in _disks(specification):
        pass


def mount(cloud: Cloud, job: Job) -> dict[str, Path]:
    """Create the mounts of a job; return their folders by path."""
    mounted = {}
    for link, folder in _mounts(cloud, job.teamspace_id, job.specification):
        folder.mkdir(parents=True, exist_ok=True)
        cloud.give(folder, drive_folder(cloud, job.teamspace_id))
        mounted[str(link)] = folder
        if cloud.strict is not None:
            # A strict machine has a `/tmp` of its own.
            continue
        if _is_ours(cloud, link):
            link.unlink()
        link.symlink_to(folder)
    return mounted


def make_disks(cloud: Cloud, job: Job, folder: Path) -> dict[str, Path]:
    """Create the empty scratch disks of a job below a folder; return their folders by path."""
    made = {f"{_SCRATCH}/{name}": folder / name for name in _disks(job.specification)}
    shutil.rmtree(folder, ignore_errors=True)
    for place in made.values():
        place.mkdir(parents=True)
        cloud.give(place, folder.parent)
    return made


def _disks(specification: dict[str, Any]) -> Iterator[str]:
    for volume in specification.get("volumes") or []:
        path = PurePosixPath(str(volume.get("path")))
        if path.parent != _SCRATCH or not path.name.isprintable():
            raise ApiError(400, f"no volume can be at {str(path)!r}: in the local cloud only right below {_SCRATCH}")
        yield path.name


def unmount(cloud: Cloud, job: Job) -> None:
    """Remove the mounts of a job, except those that other jobs share."""
    others = {path for other in cloud.jobs if other is not job and other.stopped_at is None for path in _paths(other)}
    for path in _paths(job) - others:
        if _is_ours(cloud, Path(path)):
            Path(path).unlink()


def _is_ours(cloud: Cloud, link: Path) -> bool:
    """Whether a path is a link that a job of this cloud created."""
    return link.is_symlink() and link.readlink().is_relative_to(cloud.root)


def _paths(job: Job) -> set[str]:
    return {str(mapping.get("containerPath")) for mapping in job.specification.get("pathMappings") or []}


def _mounts(cloud: Cloud, teamspace_id: str, specification: dict[str, Any]) -> Iterator[tuple[Path, Path]]:
    for mapping in specification.get("pathMappings") or []:
        path, name = str(mapping.get("containerPath")), str(mapping.get("connectionName"))
        if PurePosixPath(path).parent != _PLACE or ".." in path or not path.isprintable() or len(path.encode()) > 255:
            raise ApiError(400, f"nothing can be mounted at {path!r}: in the local cloud only right below {_PLACE}")
        if cloud.strict is None and os.path.lexists(path) and not _is_ours(cloud, Path(path)):
            raise ApiError(400, f"nothing can be mounted at {path!r}: there is something else; take another name")
        mount_now(cloud, teamspace_id)
        drive = drive_folder(cloud, teamspace_id)
        connections = (inside(drive, f"{kind}/{name}") for kind in CONNECTION_FOLDERS.values())
        connection = next((folder for folder in connections if folder.is_dir()), None)
        if connection is None:
            raise ApiError(404, f"the drive has no folder or connection {name!r}")
        below = str(mapping.get("connectionPath") or "").strip("/")
        yield Path(path), inside(drive, f"{connection.relative_to(drive)}/{below}")
