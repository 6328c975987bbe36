"""Studios: created, started, switched, stopped, deleted."""

import asyncio
import secrets
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator import processes
from lightning_native.emulator.accounts import teamspace_of
from lightning_native.emulator.api import ApiError, body_of, cloud_of, reply
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.cloud import Cloud
from lightning_native.emulator.copies import copy_folders
from lightning_native.emulator.environments import create_environment
from lightning_native.emulator.home import STUDIORC, environment_of, home_of, namespace_of
from lightning_native.emulator.machines import CLUSTERS, DEFAULT_CLUSTER, DEFAULT_MACHINE, MACHINES, machine_type
from lightning_native.emulator.names import free_name
from lightning_native.emulator.records import Instance, Studio
from lightning_native.emulator.state import new_id

PENDING = "CLOUD_SPACE_INSTANCE_STATE_PENDING"
RUNNING = "CLOUD_SPACE_INSTANCE_STATE_RUNNING"
STOPPING = "CLOUD_SPACE_INSTANCE_STATE_STOPPING"
FAILED = "CLOUD_SPACE_INSTANCE_STATE_FAILED"
# Start and switch answer when they are done, so that the SDK's one-second polls find them done; yet before its
# read timeout of 30 s, since it would then send the request again.
_PATIENCE_SECONDS = 20.0
_FAILED_SECONDS = 2.0


def studio_of(request: Request) -> Studio:
    """Return the studio that a request's path names; 404 when there is none."""
    studio = cloud_of(request).studios.get(request.path_params["studio"])
    if studio is None or studio.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"studio {request.path_params['studio']} not found")
    return studio


def require_running(studio: Studio) -> dict[str, Any]:
    """Return the machine of a running studio; 400 when it does not run."""
    if studio.instance is None or studio.instance["phase"] != RUNNING:
        raise ApiError(400, f"studio {studio.name} is not running")
    return studio.instance


def studio_names(cloud: Cloud, teamspace_id: str) -> list[str]:
    """Return the names of all studios of a teamspace."""
    return [studio.name for studio in cloud.studios if studio.teamspace_id == teamspace_id]


def create(cloud: Cloud, teamspace_id: str, name: str, cluster_id: str | None, **fields: Any) -> Studio:
    """Create a studio with an empty folder."""
    name = free_name(name, studio_names(cloud, teamspace_id))
    now = cloud.clock.now()
    studio = Studio(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=name,
        display_name=name,
        cluster_id=cluster_id or DEFAULT_CLUSTER,
        marker=secrets.token_hex(16),
        created_at=now,
        updated_at=now,
        machine=DEFAULT_MACHINE,
        **fields,
    )
    (home_of(cloud, studio) / STUDIORC).parent.mkdir(parents=True)
    return cloud.studios.save(studio)


def new_instance(cloud: Cloud, machine: str, interruptible: bool) -> dict[str, Any]:
    """Return a machine that was asked for now."""
    return asdict(Instance(new_id(), machine, interruptible, PENDING, cloud.clock.now()))


async def boot(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    """Bring a machine of a studio up; it may have been given up meanwhile."""
    fault = next(
        (
            found
            for kind in ("boot-hangs", "boot-fails", "out-of-capacity")
            if (found := cloud.take_fault(kind, machine=instance["machine"], name=studio.name))
        ),
        None,
    )
    if fault is not None and fault.kind == "boot-hangs":
        # Until it is stopped or deleted.
        return
    await cloud.clock.sleep(cloud.settings.boot_seconds_of(instance["machine"]))
    if fault is not None and instance["phase"] == PENDING:
        reason = "out of capacity" if fault.kind == "out-of-capacity" else "the machine failed to start"
        _fail(cloud, studio, instance, f"{instance['machine']}: {reason}")
        return
    try:
        await asyncio.to_thread(create_environment, environment_of(cloud, studio), cloud.root / "templates")
        await namespace_of(cloud, studio)
    except OSError as error:
        _fail(cloud, studio, instance, f"cannot make the environment: {error}")
        return
    if instance["phase"] == PENDING:
        instance["phase"] = RUNNING
        instance["started_at"] = cloud.clock.now()
        studio.active_at = cloud.clock.now()
        save(cloud, studio)


def _fail(cloud: Cloud, studio: Studio, instance: dict[str, Any], message: str) -> None:
    instance["phase"], instance["message"] = FAILED, message
    save(cloud, studio)
    cloud.start_task(_forget_failed(cloud, studio, instance))


async def _forget_failed(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    # The SDK starts only what is stopped: after it had time to see the failure, the studio is that again.
    await asyncio.sleep(_FAILED_SECONDS)
    if studio.instance is instance:
        studio.instance = None
    elif studio.requested is instance:
        studio.requested = None
    save(cloud, studio)


async def lose_machine(cloud: Cloud, studio: Studio, instance_id: str, seconds: float) -> None:
    """Take a studio's machine away after some time, with all that runs on it."""
    await cloud.clock.sleep(seconds)
    if studio.instance is not None and studio.instance["id"] == instance_id:
        await stop(cloud, studio)


async def stop(cloud: Cloud, studio: Studio) -> None:
    """End all processes of a studio and give its machine back; nothing to do for one that has none."""
    instance, studio.requested = studio.instance, None
    if instance is None:
        return
    if instance["phase"] != STOPPING:
        instance["phase"] = STOPPING
        save(cloud, studio)
    await cloud.end_processes(studio.marker)
    if studio.instance is instance:
        cloud.forget_namespace(studio.marker)
        studio.cost = cost(cloud, studio)
        studio.instance = None
        save(cloud, studio)


def cost(cloud: Cloud, studio: Studio) -> float:
    """Return what a studio's machines have cost so far, in dollars."""
    return studio.cost + _cost_of_instance(cloud, studio.instance)


def _cost_of_instance(cloud: Cloud, instance: dict[str, Any] | None) -> float:
    if instance is None or instance["started_at"] is None:
        return 0.0
    hours: float = (cloud.clock.now() - instance["started_at"]) / 3600
    return hours * MACHINES[instance["machine"]].hourly(instance["interruptible"])


def phase_of(studio: Studio) -> str:
    """Return a studio's state in one word."""
    if studio.instance is None:
        return "stopped"
    return str(studio.instance["phase"]).rpartition("_")[2].lower()


def save(cloud: Cloud, studio: Studio) -> None:
    """Write a changed studio, unless it was deleted meanwhile."""
    if cloud.studios.get(studio.id) is studio:
        studio.updated_at = cloud.clock.now()
        cloud.studios.save(studio)


async def delete(cloud: Cloud, studio: Studio) -> None:
    """Delete a studio with its processes and files."""
    cloud.studios.delete(studio.id)
    await stop(cloud, studio)
    cloud.forget_namespace(studio.marker)
    for command in cloud.commands:
        if command.studio_id == studio.id:
            cloud.commands.delete(command.id)
    for folder in ("commands", "snapshots"):
        cloud.discard(cloud.root / folder / studio.id)
    cloud.discard(cloud.studio_folder(studio))


def _instance_status(studio: Studio, instance: dict[str, Any] | None) -> dict[str, Any] | None:
    if instance is None:
        return None
    ready = instance["started_at"] is not None
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
        "startupStatus": {"initialRestoreFinished": ready, "topUpRestoreFinished": ready},
        "statusMessage": instance["message"],
    }


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


def document(studio: Studio) -> dict[str, Any]:
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
        "env": studio.env,
        "createdAt": timestamp(studio.created_at),
        "updatedAt": timestamp(studio.updated_at),
    }


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    ids = query.getlist("ids")
    found = [
        document(studio)
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
    if cluster and cluster not in CLUSTERS:
        raise ApiError(400, f"no cloud account {cluster!r}; the local cloud has {', '.join(CLUSTERS)}")
    studio = create(cloud, teamspace.id, str(body.get("name") or body.get("displayName") or ""), cluster)
    studio.recorded = {
        "disableSecrets": bool(body.get("disableSecrets")),
        "sandbox": bool(body.get("sandbox")),
        "environmentTemplateId": body.get("cloudSpaceEnvironmentTemplateId") or "",
    }
    for seed in body.get("seedFiles") or []:
        path = (home_of(cloud, studio) / str(seed.get("path", ""))).resolve()
        if path.parent == home_of(cloud, studio).resolve():
            path.write_text(str(seed.get("contents", "")), encoding="utf-8")
    cloud.studios.save(studio)
    return reply(document(studio))


async def _get(request: Request) -> Response:
    return reply(document(studio_of(request)))


async def _update(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    if body.get("displayName"):
        others = [name for name in studio_names(cloud, studio.teamspace_id) if name != studio.name]
        studio.name = studio.display_name = free_name(str(body.pop("displayName")), others)
    if body.get("env") is not None:
        env = [item for item in body.pop("env") if item.get("name")]
        studio.env = [{"name": str(item["name"]), "value": str(item.get("value", ""))} for item in env]
    studio.recorded.update(body)
    save(cloud, studio)
    return reply(document(studio))


async def _delete(request: Request) -> Response:
    await delete(cloud_of(request), studio_of(request))
    return reply({})


async def _fork(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    target = cloud.teamspaces.get(str(body.get("targetProjectId") or studio.teamspace_id))
    if target is None:
        raise ApiError(404, f"teamspace {body['targetProjectId']} not found")
    copy = create(cloud, target.id, str(body.get("newName") or studio.name), studio.cluster_id, env=studio.env)
    copy.recorded = dict(studio.recorded)
    try:
        cloud.discard(home_of(cloud, copy))
        await copy_folders(cloud.studio_folder(studio), cloud.studio_folder(copy))
    except BaseException:
        await delete(cloud, copy)
        raise
    save(cloud, copy)
    return reply(document(copy))


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


def _requested_machine(body: dict[str, Any], studio: Studio) -> tuple[str, bool]:
    compute = body.get("computeConfig") or {}
    machine = machine_type(str(compute.get("name") or studio.machine))
    return machine.slug, bool(compute.get("spot"))


async def start(cloud: Cloud, studio: Studio, machine: str, interruptible: bool) -> None:
    """Ask for a machine and wait until it runs, though not for ever."""
    instance = studio.instance
    if instance is None or instance["phase"] == FAILED:
        instance = new_instance(cloud, machine, interruptible)
        studio.instance, studio.machine, studio.interruptible = instance, machine, interruptible
        save(cloud, studio)
        await cloud.patiently(boot(cloud, studio, instance), _PATIENCE_SECONDS)
    elif instance["phase"] == STOPPING:
        raise ApiError(400, f"studio {studio.name} is stopping")
    elif instance["machine"] != machine:
        raise ApiError(400, f"studio {studio.name} runs on {instance['machine']} already")


async def _start(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    await start(cloud, studio, *_requested_machine(body, studio))
    return reply({})


async def _stop(request: Request) -> Response:
    await stop(cloud_of(request), studio_of(request))
    return reply({})


async def _switch(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    studio.machine, studio.interruptible = _requested_machine(body, studio)
    if studio.instance is not None and studio.instance["phase"] == RUNNING:
        studio.requested = new_instance(cloud, studio.machine, studio.interruptible)
        save(cloud, studio)
        await cloud.patiently(boot(cloud, studio, studio.requested), _PATIENCE_SECONDS)
    save(cloud, studio)
    return reply(_config(studio))


async def _confirm_switch(request: Request) -> Response:
    cloud, studio = cloud_of(request), studio_of(request)
    requested = studio.requested
    if requested is None or requested["phase"] != RUNNING:
        raise ApiError(400, f"studio {studio.name} has no machine to switch to")
    # The new machine has the same files but none of the processes.
    await cloud.end_processes(studio.marker)
    studio.cost += _cost_of_instance(cloud, studio.instance)
    studio.instance, studio.requested = requested, None
    save(cloud, studio)
    return reply({})


async def sleep_when_idle(cloud: Cloud) -> None:
    """Stop the studios that have nothing to do, each after the idle time that it is set to."""
    for studio in cloud.studios:
        if studio.instance is None or studio.instance["phase"] != RUNNING or studio.disable_auto_shutdown:
            continue
        if cloud.clock.now() - studio.active_at < studio.idle_shutdown_seconds:
            continue
        if await asyncio.to_thread(processes.find, studio.marker):
            # What runs on detached from any command is something to do, too.
            studio.active_at = cloud.clock.now()
            continue
        await stop(cloud, studio)


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
    save(cloud, studio)
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
