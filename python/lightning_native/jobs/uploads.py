"""Uploads of submitted jobs: Lightning copies them some time after the submission, so a later command removes them."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_native.errors import CloudError
from lightning_native.home import home, locked, write_private
from lightning_native.lightning.copies import is_name_of_copy
from lightning_native.lightning.teamspace import LightningCloud

_FILE, _LOCK = "job-uploads.json", "job-uploads"


@dataclass(frozen=True)
class JobUploads:
    """The files of one job in the studio from which it starts; `paths` are relative to the studio's home."""

    cloud: str
    job: str
    studio: str
    paths: tuple[str, ...]


def keep(uploads: JobUploads) -> None:
    """Record uploads before their job is submitted."""
    with locked(_LOCK):
        _write([*_read(), uploads])


def discard(cloud: LightningCloud, uploads: JobUploads) -> None:
    """Remove the uploads of a job that was not submitted, or that has begun."""
    if _remove(cloud, uploads):
        _forget([uploads])


def discard_used(cloud: LightningCloud, cloud_name: str) -> None:
    """Remove the uploads of all jobs on this cloud that have begun or are gone; a failure leaves them for later."""
    waiting = [each for each in _read() if each.cloud == cloud_name]
    if not waiting:
        return
    with suppress(CloudError):
        pending = [job.name for job in cloud.jobs() if job.state() == "pending" and not job.end().has_begun]
        used = [each for each in waiting if not any(_is_of(each.job, name) for name in pending)]
        _forget([each for each in used if _remove(cloud, each)])


def _is_of(wanted: str, name: str) -> bool:
    return name == wanted or is_name_of_copy(wanted, name)


def _remove(cloud: LightningCloud, uploads: JobUploads) -> bool:
    try:
        studio = cloud.find_studio(uploads.studio)
        if studio is not None:
            for path in uploads.paths:
                studio.remove(path)
    except CloudError:
        return False
    return True


def _forget(removed: Sequence[JobUploads]) -> None:
    with locked(_LOCK):
        _write([each for each in _read() if each not in removed])


def _read() -> list[JobUploads]:
    try:
        records = json.loads(_path().read_text())
        return [JobUploads(**{**record, "paths": tuple(record["paths"])}) for record in records]
    except (OSError, ValueError, TypeError, KeyError):
        # A file that nobody can read names nothing that could be removed.
        return []


def _write(uploads: Sequence[JobUploads]) -> None:
    partial = _path().with_suffix(".partial")
    write_private(partial, json.dumps([asdict(each) for each in uploads]))
    partial.replace(_path())


def _path() -> Path:
    return home() / _FILE
