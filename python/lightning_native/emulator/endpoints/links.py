"""The links to Lightning's web pages that the SDK prints, which lead to the page of this cloud."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.jobs import multi_machine
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, Teamspace

_LINK = re.compile(r"/(?!v1/|storage/|emulator/|page/)[^/]+/[^/]+(/(studios|jobs|pipelines|drive)(/.*)?)?/?")


def is_link(path: str) -> bool:
    """Whether a path is one of Lightning's web pages."""
    return _LINK.fullmatch(path) is not None


def _teamspace_of(request: Request) -> Teamspace:
    cloud, owner, name = cloud_of(request), request.path_params["owner"], request.path_params["teamspace"]
    owners = {cloud.user.id: cloud.user.username, **{item.id: item.name for item in cloud.organizations}}
    for teamspace in cloud.teamspaces:
        if teamspace.name == name and owners.get(teamspace.owner_id) == owner:
            return teamspace
    raise ApiError(404, f"no teamspace {name!r} of {owner!r}")


def _to(place: str) -> Response:
    return RedirectResponse(f"/{place}", 303)


async def _teamspace(request: Request) -> Response:
    return _to(f"#{_teamspace_of(request).id}")


async def _studio(request: Request) -> Response:
    teamspace, name = _teamspace_of(request), request.path_params["name"]
    if job := request.query_params.get("job_name"):
        return _to_job(cloud_of(request), teamspace, job)
    for studio in cloud_of(request).studios:
        if studio.teamspace_id == teamspace.id and studio.name == name:
            return _to(f"page/studios/{studio.id}")
    raise ApiError(404, f"no studio {name!r}")


async def _job(request: Request) -> Response:
    name = request.query_params.get("machine_name") or request.path_params["name"]
    return _to_job(cloud_of(request), _teamspace_of(request), name)


def _to_job(cloud: Cloud, teamspace: Teamspace, name: str) -> Response:
    several = [item for item in cloud.multi_machine_jobs if item.teamspace_id == teamspace.id and item.name == name]
    if machines := [job for item in several for job in multi_machine.machines_of(cloud, item)]:
        return _to(f"#{machines[0].id}")
    found: list[Job] = [job for job in cloud.jobs if job.teamspace_id == teamspace.id and job.name == name]
    if not found:
        raise ApiError(404, f"no job {name!r}")
    return _to(f"page/jobs/{found[0].id}")


async def _pipeline(request: Request) -> Response:
    teamspace, name = _teamspace_of(request), request.path_params["name"]
    for pipeline in cloud_of(request).pipelines:
        if pipeline.teamspace_id == teamspace.id and pipeline.name == name:
            return _to(f"#{pipeline.id}")
    raise ApiError(404, f"no pipeline {name!r}")


_OWNER = "/{owner}/{teamspace}"
# Behind all other routes, because an owner and a teamspace may have any name.
ROUTES = [
    Route(f"{_OWNER}/studios/{{name}}", _studio, methods=["GET"]),
    Route(f"{_OWNER}/studios/{{name}}/code", _studio, methods=["GET"]),
    Route(f"{_OWNER}/studios/{{name}}/app", _studio, methods=["GET"]),
    Route(f"{_OWNER}/jobs/{{name}}", _job, methods=["GET"]),
    Route(f"{_OWNER}/pipelines/{{name}}", _pipeline, methods=["GET"]),
    *(Route(f"{_OWNER}/{kind}", _teamspace, methods=["GET"]) for kind in ("studios", "jobs", "pipelines", "drive")),
]
