"""Tags of jobs: one list for each teamspace."""

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services.jobs import tags
from lightning_native.emulator.state.cloud import Cloud


def to_api(cloud: Cloud, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return tags as the API shows them."""
    found = [cloud.tags.get(key) for key in ids]
    return [
        {"id": tag.id, "name": tag.name, "projectId": tag.teamspace_id, "createdAt": timestamp(tag.created_at)}
        for tag in found
        if tag is not None
    ]


async def _list(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    return reply({"tags": to_api(cloud, (tag.id for tag in cloud.tags if tag.teamspace_id == teamspace.id))})


async def _set(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    ids = tags.set_tags(cloud, teamspace.id, request.path_params["workload"], body.get("tags") or [])
    return reply({"tags": to_api(cloud, ids)})


ROUTES = [
    Route("/v1/projects/{project}/workload-tags", _list),
    Route("/v1/projects/{project}/workloads/{kind}/{workload}/tags", _set, methods=["PUT"]),
]
