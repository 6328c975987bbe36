"""Ports of studios, through which clients reach code in them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import recorded
from lightning_native.emulator.services.ports import PORT, close_ports, open_port
from lightning_native.emulator.state.records import Document


def _port_of(request: Request) -> Document:
    return recorded.find(cloud_of(request), PORT, request.path_params["document"])


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    studio = (body.get("cloudspace") or {}).get("cloudspaceId")
    if studio and cloud.studios.get(str(studio)) is None:
        raise ApiError(404, f"studio {studio} not found")
    ports = [str(port) for port in body.get("ports") or []]
    here = ports if cloud.strict is None else [await open_port(cloud, str(studio or ""), port) for port in ports]
    content = {
        **recorded.without_credentials(body),
        "ports": ports,
        "urls": [f"http://127.0.0.1:{port}" for port in here],
    }
    return reply(recorded.to_api(recorded.save(cloud, PORT, teamspace.id, content)))


async def _list(request: Request) -> Response:
    studio = request.query_params.get("cloudspaceId")
    found = [
        recorded.to_api(item)
        for item in recorded.of_teamspace(cloud_of(request), PORT, teamspace_of(request).id)
        if studio in (None, "", (item.content.get("cloudspace") or {}).get("cloudspaceId"))
    ]
    return reply({"endpoints": found})


async def _get(request: Request) -> Response:
    return reply(recorded.to_api(_port_of(request)))


async def _delete(request: Request) -> Response:
    cloud, port = cloud_of(request), _port_of(request)
    cloud.documents.delete(port.id)
    if cloud.strict is not None:
        await close_ports(cloud, port.content)
    return reply({})


_ALL = "/v1/projects/{project}/endpoints"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/{document}", _get),
    Route(_ALL + "/{document}", _delete, methods=["DELETE"]),
]
