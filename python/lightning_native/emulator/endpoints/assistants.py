"""Assistants and the models behind them: recorded and shown again, never run."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import recorded
from lightning_native.emulator.state.records import Document

_ASSISTANT, _MANAGED = "assistant", "managed_endpoint"


def _assistant_of(request: Request) -> Document:
    return recorded.find(cloud_of(request), _ASSISTANT, request.path_params["document"])


async def _create_managed_endpoint(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    document = recorded.save(cloud, _MANAGED, teamspace.id, recorded.without_credentials(body.get("endpoint") or {}))
    return reply({"endpoint": recorded.to_api(document), "assistants": []})


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    # The endpoint is not kept, because it may hold a key to a model of somebody else.
    kept = {key: value for key, value in body.items() if key != "endpoint"}
    return reply(recorded.to_api(recorded.save(cloud, _ASSISTANT, teamspace.id, recorded.without_credentials(kept))))


async def _get(request: Request) -> Response:
    return reply(recorded.to_api(_assistant_of(request)))


async def _delete(request: Request) -> Response:
    cloud_of(request).documents.delete(_assistant_of(request).id)
    return reply({})


_PROJECT = "/v1/projects/{project}"
ROUTES = [
    Route(_PROJECT + "/agent-managed-endpoints", _create_managed_endpoint, methods=["POST"]),
    Route(_PROJECT + "/agents", _create, methods=["POST"]),
    Route(_PROJECT + "/agents/{document}", _delete, methods=["DELETE"]),
    Route("/v1/agents/{document}", _get),
]
