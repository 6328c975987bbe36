"""Data connections: the further storage of a teamspace, each a folder of its drive."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import recorded
from lightning_native.emulator.services.files.drive import CONNECTION_FOLDERS, base_of, inside, mount_later
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.state.records import Document

_CONNECTION = "data_connection"


def _connection_of(request: Request) -> Document:
    return recorded.find(cloud_of(request), _CONNECTION, request.path_params["document"])


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    name = check_name(str(body.get("name") or ""))
    kind = next((kind for kind in CONNECTION_FOLDERS if kind in body), None)
    if kind is None:
        raise ApiError(400, f"{name!r}: the local cloud has folders and EFS connections, with a name of one word")
    path = f"{CONNECTION_FOLDERS[kind]}/{name}"
    mount_later(cloud, teamspace.id, path)
    base = base_of(cloud, teamspace.id, path)
    folder = inside(base, path)
    folder.mkdir(parents=True, exist_ok=True)
    cloud.give(folder, base)
    known = recorded.of_teamspace(cloud, _CONNECTION, teamspace.id)
    same = [item for item in known if item.content["name"] == name]
    content = {**recorded.without_credentials(body), "name": name, "accessible": True}
    return reply(recorded.to_api(same[0] if same else recorded.save(cloud, _CONNECTION, teamspace.id, content)))


async def _list(request: Request) -> Response:
    found = recorded.of_teamspace(cloud_of(request), _CONNECTION, teamspace_of(request).id)
    return reply({"dataConnections": [recorded.to_api(item) for item in found]})


async def _get(request: Request) -> Response:
    return reply(recorded.to_api(_connection_of(request)))


async def _delete(request: Request) -> Response:
    cloud_of(request).documents.delete(_connection_of(request).id)
    return reply({})


_ALL = "/v1/projects/{project}/data-connections"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/{document}", _get),
    Route(_ALL + "/{document}", _delete, methods=["DELETE"]),
]
