"""The drive of a teamspace, and the check that a path stays inside of a folder."""

import os
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
# In bytes, the limits of Linux; partial files lie elsewhere.
_MAX_NAME = 255
_MAX_PATH = 4000


def drive_folder(cloud: Cloud, teamspace_id: str) -> Path:
    """Return the folder with the files of a teamspace's drive."""
    folder = cloud.root / "drives" / teamspace_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
