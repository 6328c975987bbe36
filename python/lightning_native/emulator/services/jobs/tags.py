"""Tags of jobs: one list for each teamspace, written as the platform writes them, in lower case."""

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
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


def documents(cloud: Cloud, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return tags as the API shows them."""
    found = [cloud.tags.get(key) for key in ids]
    return [
        {"id": tag.id, "name": tag.name, "projectId": tag.teamspace_id, "createdAt": timestamp(tag.created_at)}
        for tag in found
        if tag is not None
    ]


async def _list(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    return reply({"tags": documents(cloud, (tag.id for tag in cloud.tags if tag.teamspace_id == teamspace.id))})


async def _set(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    key = request.path_params["workload"]
    ids = ensure(cloud, teamspace.id, body.get("tags") or [])
    if (job := cloud.jobs.get(key)) is not None:
        job.tags = ids
        cloud.jobs.save(job)
    elif (several := cloud.multi_machine_jobs.get(key)) is not None:
        several.tags = ids
        cloud.multi_machine_jobs.save(several)
    else:
        raise ApiError(404, f"job {key} not found")
    return reply({"tags": documents(cloud, ids)})


ROUTES = [
    Route("/v1/projects/{project}/workload-tags", _list),
    Route("/v1/projects/{project}/workloads/{kind}/{workload}/tags", _set, methods=["PUT"]),
]
