"""What the SDK tells about itself: accepted and kept in memory only."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply


async def _create(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    cloud.history.append({key: body.get(key) for key in ("command", "message", "severity", "duration")})
    return reply({})


ROUTES = [Route("/v1/sdk-command-history", _create, methods=["POST"])]
