"""The endpoints of studios."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import DEFAULT_MACHINE, machine_type
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.cloud_accounts import check_cluster
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import studios
from lightning_native.emulator.services.variables import check_variable
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Studio
from lightning_native.emulator.state.store import new_id


def studio_of(request: Request) -> Studio:
    """Return the studio that a request's path names; 404 when there is none."""
    studio = cloud_of(request).studios.get(request.path_params["studio"])
    if studio is None or studio.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"studio {request.path_params['studio']} not found")
    return studio


def _instance_status(studio: Studio, instance: dict[str, Any] | None) -> dict[str, Any] | None:
    if instance is None:
        return None
    ready = instance["started_at"] is not None
    restored = ready and instance.get("restored", True)
    return {
        "cloudSpaceId": studio.id,
        "cloudSpaceInstanceId": instance["id"],
        "clusterId": studio.cluster_id,
        "computeConfig": {"name": instance["machine"], "spot": instance["interruptible"]},
        "creationTimestamp": timestamp(instance["created_at"]),
        "phase": instance["phase"],
        "price": machine_type(instance["machine"]).hourly(instance["interruptible"]),
        "publicIpAddress": "127.0.0.1",
        "privateIpAddress": "127.0.0.1",
        "startTimestamp": timestamp(instance["started_at"]),
        "startupStatus": {"initialRestoreFinished": ready, "topUpRestoreFinished": restored},
        "statusMessage": instance["message"] or _warning(studio, instance),
    }


def _warning(studio: Studio, instance: dict[str, Any]) -> str:
    """Return the platform's only hint that a studio came up on another machine than it was asked for."""
    if not studio.asked_for or machine_type(studio.asked_for).is_gpu == machine_type(instance["machine"]).is_gpu:
        return ""
    return f"Machine {studio.asked_for} is a custom instance type that hasn't been vetted by Lightning."


def _status(studio: Studio) -> dict[str, Any]:
    status = {
        "inUse": _instance_status(studio, studio.instance),
        "requested": _instance_status(studio, studio.requested),
    }
    return {key: value for key, value in status.items() if value is not None}


def _config(studio: Studio) -> dict[str, Any]:
    return {
        "computeConfig": {"name": studio.machine, "spot": studio.interruptible},
        "disableAutoShutdown": studio.disable_auto_shutdown,
        "idleShutdownSeconds": studio.idle_shutdown_seconds,
    }


def to_api(studio: Studio) -> dict[str, Any]:
    """Return a studio as the API shows it."""
    return {
        "isFavorite": False,
        "description": "",
        **studio.recorded,
        "id": studio.id,
        "projectId": studio.teamspace_id,
        "userId": studio.user_id,
        "name": studio.name,
        "displayName": studio.display_name,
        "clusterId": studio.cluster_id,
        "state": "CLOUD_SPACE_STATE_READY",
        "codeStatus": _status(studio),
        "codeConfig": _config(studio),
        "message": studio.message,
        "env": studio.env,
        "createdAt": timestamp(studio.created_at),
        "updatedAt": timestamp(studio.updated_at),
    }


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    ids = query.getlist("ids")
    found = [
        to_api(studio)
        for studio in cloud.studios
        if studio.teamspace_id == teamspace.id
        and query.get("name") in (None, "", studio.name)
        and query.get("clusterId") in (None, "", studio.cluster_id)
        and query.get("userId") in (None, "", studio.user_id)
        and (not ids or studio.id in ids)
    ]
    return reply({"cloudspaces": found, "nextPageToken": ""})


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    cluster = body.get("clusterId")
    if cluster:
        check_cluster(str(cluster))
    studio = studios.create(cloud, teamspace.id, str(body.get("name") or body.get("displayName") or ""), cluster)
    studio.recorded = {
        "disableSecrets": bool(body.get("disableSecrets")),
        "sandbox": bool(body.get("sandbox")),
        "environmentTemplateId": body.get("cloudSpaceEnvironmentTemplateId") or "",
    }
    for seed in body.get("seedFiles") or []:
        studios.write_seed(cloud, studio, str(seed.get("path") or ""), str(seed.get("contents") or ""))
    cloud.studios.save(studio)
    return reply(to_api(studio))


async def _get(request: Request) -> Response:
    return reply(to_api(studio_of(request)))


async def _update(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    if body.get("displayName"):
        studios.rename(cloud, studio, str(body.pop("displayName")))
    if body.get("env") is not None:
        env = [item for item in body.pop("env") if item.get("name")]
        variables = [{"name": str(item["name"]), "value": str(item.get("value", ""))} for item in env]
        for variable in variables:
            check_variable(variable["name"], variable["value"])
        studio.env = variables
    studio.recorded.update(body)
    studios.save(cloud, studio)
    # Its former variables may be secrets.
    cloud.studios.forget()
    return reply(to_api(studio))


async def _delete(request: Request) -> Response:
    await studios.delete(cloud_of(request), studio_of(request))
    return reply({})


async def _fork(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    target = cloud.teamspaces.get(str(body.get("targetProjectId") or studio.teamspace_id))
    if target is None:
        raise ApiError(404, f"teamspace {body['targetProjectId']} not found")
    copy = await studios.duplicate(cloud, studio, target.id, str(body.get("newName") or studio.name))
    return reply(to_api(copy))


async def _create_run(request: Request) -> Response:
    studio, body = studio_of(request), await body_of(request)
    return reply(
        {
            "id": new_id(),
            "cloudspaceId": studio.id,
            "projectId": studio.teamspace_id,
            "clusterId": body.get("clusterId") or studio.cluster_id,
        }
    )


async def _get_status(request: Request) -> Response:
    return reply(_status(studio_of(request)))


async def _get_config(request: Request) -> Response:
    return reply(_config(studio_of(request)))


def _requested_machine(cloud: Cloud, studio: Studio, body: dict[str, Any]) -> tuple[str, bool]:
    """Return the slug of the machine that a request gets, and whether it is interruptible."""
    compute = body.get("computeConfig") or {}
    studio.asked_for = str(compute.get("name") or studio.machine)
    return studios.machine_for(cloud, studio, studio.asked_for), bool(compute.get("spot"))


async def _start(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    await studios.start(cloud, studio, *_requested_machine(cloud, studio, body))
    return reply({})


async def _stop(request: Request) -> Response:
    await studios.stop(cloud_of(request), studio_of(request))
    return reply({})


async def _switch(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    studio.machine, studio.interruptible = _requested_machine(cloud, studio, body)
    await studios.switch(cloud, studio)
    return reply(_config(studio))


async def _confirm_switch(request: Request) -> Response:
    await studios.confirm_switch(cloud_of(request), studio_of(request))
    return reply({})


async def _keep_alive(request: Request) -> Response:
    cloud = cloud_of(request)
    # The SDK sends these from a thread of its own, maybe just after the studio was deleted.
    if (studio := cloud.studios.get(request.path_params["studio"])) is not None:
        studio.active_at = cloud.clock.now()
    return reply({})


async def _sleep_config(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    if body.get("disableAutoShutdown") is not None:
        studio.disable_auto_shutdown = bool(body["disableAutoShutdown"])
    if body.get("idleShutdownSeconds") is not None:
        studio.idle_shutdown_seconds = int(body["idleShutdownSeconds"])
    studios.save(cloud, studio)
    return reply(_config(studio))


_TEMPLATE = {
    "id": "local-template",
    "name": "Local Studio",
    "description": "A folder and a Python environment on this computer",
    "managed": True,
    "managedId": "local-template",
    "disabled": False,
    "config": {"defaultMachine": DEFAULT_MACHINE},
}


async def _managed_templates(_request: Request) -> Response:
    return reply({"templates": [_TEMPLATE]})


async def _own_templates(_request: Request) -> Response:
    return reply({"templates": []})


_ALL = "/v1/projects/{project}/cloudspaces"
_ONE = _ALL + "/{studio}"
ROUTES = [
    Route("/v1/cloudspaces/environment-templates/managed", _managed_templates),
    Route("/v1/cloudspaces/environment-templates", _own_templates),
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ONE, _get),
    Route(_ONE, _update, methods=["PUT"]),
    Route(_ONE, _delete, methods=["DELETE"]),
    Route(_ONE + "/runs", _create_run, methods=["POST"]),
    Route(_ONE + "/fork", _fork, methods=["PUT"]),
    Route(_ONE + "/codestatus", _get_status),
    Route(_ONE + "/codeconfig", _get_config),
    Route(_ONE + "/codeconfig", _switch, methods=["PUT"]),
    Route(_ONE + "/sleepconfig", _sleep_config, methods=["PUT"]),
    Route(_ONE + "/start", _start, methods=["POST"]),
    Route(_ONE + "/stop", _stop, methods=["POST"]),
    Route(_ONE + "/switch-confirm", _confirm_switch, methods=["POST"]),
    Route(_ONE + "/keep-alive", _keep_alive, methods=["POST"]),
]
