"""What every endpoint needs: its cloud, its JSON body, and answers in the shape of the platform's."""

import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from lightning_native.emulator.cloud import Cloud

# Status codes of gRPC, which the platform's error bodies carry.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 501: 12, 503: 14}


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def reply(value: Any, status: int = 200) -> Response:
    """Answer with JSON; None values at the top of an object are left out, as the platform does."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if item is not None}
    return Response(json.dumps(value), status, media_type="application/json")


def failure(status: int, message: str) -> Response:
    """Answer with an error body."""
    return reply({"code": _CODES.get(status, 2), "message": message, "details": []}, status)


def cloud_of(request: Request) -> "Cloud":
    """Return the cloud that a request is for."""
    cloud: Cloud = request.app.state.cloud
    return cloud


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; empty when it carries none."""
    content = await request.body()
    if not content:
        return {}
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object")
    return value
