"""Artifacts of a job: the files that it wrote below its home, caches too, moved to the drive at its end."""

import contextlib
import json
import os
import stat
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.files.drive import drive_folder, inside
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Job


def artifacts_folder(cloud: Cloud, job: Job) -> Path:
    """Return the folder of the drive with a job's artifacts."""
    return drive_folder(cloud, job.teamspace_id) / "jobs" / job.name


def note_files(home: Path, note: Path) -> None:
    """Record the files that a job begins with; does nothing when an earlier attempt did."""
    if not note.exists():
        note.write_text(json.dumps(_manifest(home)))


def collect(cloud: Cloud, job: Job, home: Path, note: Path) -> None:
    """Move the files of a job that are new or changed since it began to the drive."""
    before = json.loads(note.read_text())
    drive = drive_folder(cloud, job.teamspace_id)
    for path, state in _manifest(home).items():
        if before.get(path) != state:
            try:
                # Code has the drive mounted, and may put links into it.
                target = inside(drive, f"jobs/{job.name}/{path}")
                target.parent.mkdir(parents=True, exist_ok=True)
                (home / path).replace(target)
                if not target.is_symlink():
                    cloud.give(target, drive)
            except (ApiError, OSError) as error:
                logger.error("a file that job %s wrote cannot be kept: %s", job.name, error)


def _manifest(home: Path) -> dict[str, list[int]]:
    """Return the inode, size and time of each file and link, by path: a changed one differs in one of them."""
    found: dict[str, list[int]] = {}
    if home.is_symlink():
        # The job replaced its home by a link, and files behind the link are not its own.
        return found
    for folder, folders, files in os.walk(home):
        for name in (*files, *folders):
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                status = path.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) or (stat.S_ISLNK(status.st_mode) and _stays_inside(home, path)):
                    key = os.fsencode(path.relative_to(home)).decode(errors="surrogateescape")
                    found[key] = [status.st_ino, status.st_size, status.st_ctime_ns]
    return found


def _stays_inside(home: Path, link: Path) -> bool:
    """Whether a link leads to a place below the home, wherever the home is moved."""
    target = link.readlink()
    path = os.path.normpath(link.relative_to(home).parent / target)
    return not target.is_absolute() and path != ".." and not path.startswith("../")
