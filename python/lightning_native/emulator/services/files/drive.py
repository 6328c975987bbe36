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
