"""Tags of jobs: one list for each teamspace, written as the platform writes them, in lower case."""

from collections.abc import Iterable

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Tag
from lightning_native.emulator.state.store import new_id


def ensure(cloud: Cloud, teamspace_id: str, names: Iterable[str]) -> list[str]:
    """Return the ids of tags by their names; those that are missing are created."""
    known = {tag.name: tag.id for tag in cloud.tags if tag.teamspace_id == teamspace_id}
    ids = []
    for given in names:
        name = " ".join(str(given).split()).lower()
        if name not in known:
            known[name] = cloud.tags.save(Tag(new_id(), teamspace_id, name, cloud.clock.now())).id
        if known[name] not in ids:
            ids.append(known[name])
    return ids


def set_tags(cloud: Cloud, teamspace_id: str, key: str, names: Iterable[str]) -> list[str]:
    """Mark a job, on one machine or several, with tags and no others; return their ids."""
    ids = ensure(cloud, teamspace_id, names)
    if (job := cloud.jobs.get(key)) is not None:
        job.tags = ids
        cloud.jobs.save(job)
    elif (several := cloud.multi_machine_jobs.get(key)) is not None:
        several.tags = ids
        cloud.multi_machine_jobs.save(several)
    else:
        raise ApiError(404, f"job {key} not found")
    return ids
