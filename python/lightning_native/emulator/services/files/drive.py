"""The drive of a teamspace, and the check that a path stays inside of a folder."""

import os
import shutil
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.state.cloud import Cloud

# Kind of connection → folder of the drive that stands for it.
CONNECTION_FOLDERS = {
    "r2": "lightning_storage",
    "s3Folder": "s3_folders",
    "gcsFolder": "gcs_folders",
    "efs": "efs_connections",
}
# A new connection in it is mounted by running machines only after a time.
_STORAGE = CONNECTION_FOLDERS["r2"]
# In bytes, the limits of Linux; partial files lie elsewhere.
_MAX_NAME = 255
_MAX_PATH = 4000


def drive_folder(cloud: Cloud, teamspace_id: str) -> Path:
    """Return the folder with the files of a teamspace's drive."""
    folder = cloud.root / "drives" / teamspace_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_of(cloud: Cloud, teamspace_id: str, path: str) -> Path:
    """Return the folder that holds a path of a drive: the drive, or the folder from which it is mounted later."""
    name = _connection_in(path)
    waiting = _waiting(cloud, teamspace_id)
    return waiting if name and (waiting / _STORAGE / name).is_dir() else drive_folder(cloud, teamspace_id)


def mount_later(cloud: Cloud, teamspace_id: str, path: str) -> None:
    """Let machines that run see the connection of a path, if it is new, only after a time."""
    name, seconds = _connection_in(path), cloud.settings.profile.mount_seconds
    if not seconds or not name or (drive_folder(cloud, teamspace_id) / _STORAGE / name).exists():
        return
    running = any(studio.instance is not None for studio in cloud.studios if studio.teamspace_id == teamspace_id)
    if running or any(job.pid for job in cloud.jobs if job.teamspace_id == teamspace_id):
        folder = _waiting(cloud, teamspace_id) / _STORAGE / name
        if not folder.is_dir():
            folder.mkdir(parents=True)
            cloud.give(folder, folder)
            cloud.start_task(_mount(cloud, teamspace_id, folder, seconds))


async def _mount(cloud: Cloud, teamspace_id: str, folder: Path, seconds: float) -> None:
    await cloud.clock.sleep(seconds)
    if folder.is_dir():
        _move(folder, drive_folder(cloud, teamspace_id) / _STORAGE / folder.name)


def mount_now(cloud: Cloud, teamspace_id: str) -> None:
    """Show all new connections, because a machine that starts now sees them."""
    storage = _waiting(cloud, teamspace_id) / _STORAGE
    for folder in sorted(storage.iterdir()) if storage.is_dir() else ():
        _move(folder, drive_folder(cloud, teamspace_id) / _STORAGE / folder.name)


def _move(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        # Code in a machine has put something else in its place.
        target.unlink()
    if target.exists():
        shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(folder)
    else:
        folder.rename(target)


def _waiting(cloud: Cloud, teamspace_id: str) -> Path:
    return cloud.root / "mounting" / teamspace_id


def _connection_in(path: str) -> str:
    """Return the name of the connection that a path leads to; empty for any other path."""
    top, _, rest = path.strip("/").partition("/")
    name = rest.partition("/")[0]
    return name if top == _STORAGE and name not in ("", ".", "..") and "\0" not in name else ""


def read_only_folders(cloud: Cloud, *, job: bool) -> list[str]:
    """Return the folders of a drive that a studio or a job cannot write to."""
    if not cloud.settings.profile.read_only_drive:
        return []
    return ["jobs", "uploads"] if job else ["jobs"]


def other_studios(cloud: Cloud, teamspace_id: str, studio_id: str = "") -> dict[str, Path]:
    """Return the files of the other studios of a teamspace, by the names of their folders on the drive."""
    others = [studio for studio in cloud.studios if studio.teamspace_id == teamspace_id and studio.id != studio_id]
    homes = {studio.name: cloud.studio_home(studio) for studio in others}
    return {name: home for name, home in homes.items() if "=" not in name and home.is_dir() and not home.is_symlink()}


def inside(folder: Path, path: str) -> Path:
    """Return a path below a folder of the root, which has no links above it; 400 when it would lead outside."""
    relative = path.strip("/")
    names = relative.split("/")
    if "\0" in relative or ".." in names:
        raise ApiError(400, f"{path[:200]!r} leads outside of the folder")
    target = folder / relative
    try:
        lengths = [len(os.fsencode(name)) for name in names]
    except UnicodeEncodeError:
        raise ApiError(400, f"{path[:200]!r} is no path: it has half a character") from None
    if max(lengths) > _MAX_NAME or len(os.fsencode(target)) > _MAX_PATH:
        raise ApiError(400, f"{path[:200] + '…'!r} is too long a path")
    # Against the folder itself and not its target, because code in a studio may replace it by a link.
    if not Path(os.path.realpath(target)).is_relative_to(folder):
        raise ApiError(400, f"{path!r} leads outside of the folder")
    return target
