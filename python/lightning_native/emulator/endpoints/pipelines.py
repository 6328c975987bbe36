"""Pipelines: graphs of job steps."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import pipelines
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Pipeline

_STATE = "PIPELINE_STATE_"


def to_api(cloud: Cloud, pipeline: Pipeline) -> dict[str, Any]:
    """Return a pipeline as the API shows it."""
    pipelines.refresh(cloud, pipeline)
    return {
        "id": pipeline.id,
        "name": pipeline.name,
        "displayName": pipeline.name,
        "projectId": pipeline.teamspace_id,
        "userId": pipeline.user_id,
        "parentPipelineId": pipeline.parent_id,
        "scheduleId": pipeline.schedule_id,
        "steps": pipeline.steps,
        "statuses": pipeline.statuses,
        "state": _STATE + pipeline.state,
        "continueOnStepFailure": pipeline.goes_on_after_failure,
        "interruptionRetryLimit": pipeline.interruption_retries,
        "sharedFilesystem": pipeline.shared_filesystem or {"enabled": False},
        "createdAt": timestamp(pipeline.created_at),
        "updatedAt": timestamp(pipeline.created_at),
    }


def _pipeline_of(request: Request) -> Pipeline:
    pipeline = cloud_of(request).pipelines.get(request.path_params["pipeline"])
    if pipeline is None or pipeline.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"pipeline {request.path_params['pipeline']} not found")
    return pipeline


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    pipeline = pipelines.create(
        cloud,
        teamspace.id,
        str(body.get("name") or ""),
        body.get("steps") or [],
        goes_on_after_failure=bool(body.get("continueOnStepFailure")),
        interruption_retries=int(body.get("interruptionRetryLimit") or 0),
        parent_id=str(body.get("parentPipelineId") or ""),
        shared_filesystem=body.get("sharedFilesystem") or {},
    )
    return reply(to_api(cloud, pipeline))


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    found = [
        to_api(cloud, item)
        for item in cloud.pipelines
        if item.teamspace_id == teamspace.id and query.get("parentPipelineId") in (None, "", item.parent_id)
    ]
    return reply({"pipelines": found, "nextPageToken": ""})


async def _get(request: Request) -> Response:
    return reply(to_api(cloud_of(request), _pipeline_of(request)))


async def _get_by_name(request: Request) -> Response:
    cloud, teamspace, name = cloud_of(request), teamspace_of(request), request.path_params["name"]
    for pipeline in reversed(list(cloud.pipelines)):
        if pipeline.teamspace_id == teamspace.id and pipeline.name == name:
            return reply(to_api(cloud, pipeline))
    raise ApiError(404, f"pipeline {name} not found")


async def _update(request: Request) -> Response:
    cloud, pipeline, body = cloud_of(request), _pipeline_of(request), await body_of(request)
    if str(body.get("state", "")).removeprefix(_STATE).upper() in ("STOP", "STOPPED"):
        await pipelines.stop(cloud, pipeline)
    return reply(to_api(cloud, pipeline))


async def _delete(request: Request) -> Response:
    await pipelines.delete(cloud_of(request), _pipeline_of(request))
    return reply({})


_ALL = "/v1/projects/{project}/pipelines"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/{name:path}/getbyname", _get_by_name),
    Route(_ALL + "/{pipeline}", _get),
    Route(_ALL + "/{pipeline}", _update, methods=["PUT"]),
    Route(_ALL + "/{pipeline}", _delete, methods=["DELETE"]),
]
