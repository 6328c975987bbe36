"""What is only recorded and shown again: ports of studios, assistants, folders and connections of the drive."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services.files.drive import CONNECTION_FOLDERS, drive_folder, inside
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.services.ports import PORT, close_ports, open_port
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Document
from lightning_native.emulator.state.store import new_id

_CREDENTIAL = re.compile(r"key|token|secret|passw|credential|auth(?!or)", re.IGNORECASE)
_PORT, _ASSISTANT, _MANAGED, _CONNECTION = PORT, "assistant", "managed_endpoint", "data_connection"


def _without_credentials(content: Any) -> Any:
    """Return what is recorded without what its name calls a credential: nothing here ever uses one."""
    if isinstance(content, dict):
        return {key: _without_credentials(value) for key, value in content.items() if not _CREDENTIAL.search(key)}
    if isinstance(content, list):
        return [_without_credentials(item) for item in content]
    return content


def _show(document: Document) -> dict[str, Any]:
    return {**document.content, "id": document.id, "projectId": document.teamspace_id}


def _save(cloud: Cloud, kind: str, teamspace_id: str, content: dict[str, Any]) -> Document:
    now = timestamp(cloud.clock.now())
    content = {**content, "createdAt": now, "updatedAt": now, "userId": cloud.user.id}
    return cloud.documents.save(Document(new_id(), kind, teamspace_id, content))


def _of(request: Request, kind: str, key: str) -> Document:
    document = cloud_of(request).documents.get(request.path_params[key])
    if document is None or document.kind != kind:
        raise ApiError(404, f"{kind.replace('_', ' ')} {request.path_params[key]} not found")
    return document


def _all(request: Request, kind: str) -> list[Document]:
    teamspace = teamspace_of(request)
    return [item for item in cloud_of(request).documents if item.kind == kind and item.teamspace_id == teamspace.id]


async def _create_port(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    studio = (body.get("cloudspace") or {}).get("cloudspaceId")
    if studio and cloud.studios.get(str(studio)) is None:
        raise ApiError(404, f"studio {studio} not found")
    ports = [str(port) for port in body.get("ports") or []]
    here = ports if cloud.strict is None else [await open_port(cloud, str(studio or ""), port) for port in ports]
    content = {**_without_credentials(body), "ports": ports, "urls": [f"http://127.0.0.1:{port}" for port in here]}
    return reply(_show(_save(cloud, _PORT, teamspace.id, content)))


async def _list_ports(request: Request) -> Response:
    studio = request.query_params.get("cloudspaceId")
    found = [
        _show(item)
        for item in _all(request, _PORT)
        if studio in (None, "", (item.content.get("cloudspace") or {}).get("cloudspaceId"))
    ]
    return reply({"endpoints": found})


async def _get_port(request: Request) -> Response:
    return reply(_show(_of(request, _PORT, "document")))


async def _delete_port(request: Request) -> Response:
    cloud, port = cloud_of(request), _of(request, _PORT, "document")
    cloud.documents.delete(port.id)
    if cloud.strict is not None:
        await close_ports(cloud, port.content)
    return reply({})


async def _create_managed_endpoint(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    document = _save(cloud, _MANAGED, teamspace.id, _without_credentials(body.get("endpoint") or {}))
    return reply({"endpoint": _show(document), "assistants": []})


async def _create_assistant(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    # The endpoint may hold a key to a model of somebody else: it is not kept.
    kept = {key: value for key, value in body.items() if key != "endpoint"}
    return reply(_show(_save(cloud, _ASSISTANT, teamspace.id, _without_credentials(kept))))


async def _get_assistant(request: Request) -> Response:
    return reply(_show(_of(request, _ASSISTANT, "document")))


async def _delete_assistant(request: Request) -> Response:
    cloud_of(request).documents.delete(_of(request, _ASSISTANT, "document").id)
    return reply({})


async def _create_connection(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    name = check_name(str(body.get("name") or ""))
    kind = next((kind for kind in CONNECTION_FOLDERS if kind in body), None)
    if kind is None:
        raise ApiError(400, f"{name!r}: the local cloud has folders and EFS connections, with a name of one word")
    folder = inside(drive_folder(cloud, teamspace.id), f"{CONNECTION_FOLDERS[kind]}/{name}")
    folder.mkdir(parents=True, exist_ok=True)
    cloud.give(folder, drive_folder(cloud, teamspace.id))
    same = [item for item in _all(request, _CONNECTION) if item.content["name"] == name]
    content = {**_without_credentials(body), "name": name, "accessible": True}
    return reply(_show(same[0] if same else _save(cloud, _CONNECTION, teamspace.id, content)))


async def _list_connections(request: Request) -> Response:
    return reply({"dataConnections": [_show(item) for item in _all(request, _CONNECTION)]})


async def _get_connection(request: Request) -> Response:
    return reply(_show(_of(request, _CONNECTION, "document")))


async def _delete_connection(request: Request) -> Response:
    cloud_of(request).documents.delete(_of(request, _CONNECTION, "document").id)
    return reply({})


_PROJECT = "/v1/projects/{project}"
ROUTES = [
    Route(_PROJECT + "/endpoints", _list_ports),
    Route(_PROJECT + "/endpoints", _create_port, methods=["POST"]),
    Route(_PROJECT + "/endpoints/{document}", _get_port),
    Route(_PROJECT + "/endpoints/{document}", _delete_port, methods=["DELETE"]),
    Route(_PROJECT + "/agent-managed-endpoints", _create_managed_endpoint, methods=["POST"]),
    Route(_PROJECT + "/agents", _create_assistant, methods=["POST"]),
    Route(_PROJECT + "/agents/{document}", _delete_assistant, methods=["DELETE"]),
    Route("/v1/agents/{document}", _get_assistant),
    Route(_PROJECT + "/data-connections", _list_connections),
    Route(_PROJECT + "/data-connections", _create_connection, methods=["POST"]),
    Route(_PROJECT + "/data-connections/{document}", _get_connection),
    Route(_PROJECT + "/data-connections/{document}", _delete_connection, methods=["DELETE"]),
]
