"""Reports of the SDK about itself: accepted, and shown again without any value."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.services import sdk_history


async def _create(request: Request) -> Response:
    sdk_history.record(cloud_of(request), await body_of(request))
    return reply({})


async def _list(request: Request) -> Response:
    return reply({"commands": list(cloud_of(request).history)})


ROUTES = [
    Route("/v1/sdk-command-history", _create, methods=["POST"]),
    Route("/v1/sdk-command-history", _list),
]
