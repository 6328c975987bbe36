"""What the SDK tells about itself: accepted and kept in memory only, without secrets.

The SDK sends the arguments of a call that failed, in clear.
"""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.cloud import Cloud

_MASK = "***"
_ARGUMENTS = re.compile(r"ARGS: .*?(?= \| Error: |$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\b(env|new_env|image_credentials|api_key): (\{.*?\}|[^,|]*)", re.DOTALL)


def masked(cloud: Cloud, command: str, message: str) -> str:
    """Return a message without what is secret or may be."""
    if "secret" in command.lower():
        message = _ARGUMENTS.sub(f"ARGS: {_MASK}", message)
    message = _ENVIRONMENT.sub(rf"\1: {_MASK}", message)
    for value in {cloud.api_key, *(secret.value for secret in cloud.secrets)}:
        if value:
            message = message.replace(value, _MASK)
    return message


async def _create(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    command = str(body.get("command") or "")
    message = masked(cloud, command, str(body.get("message") or ""))
    cloud.history.append({"command": command, "message": message, "severity": body.get("severity")})
    return reply({})


async def _list(request: Request) -> Response:
    return reply({"commands": list(cloud_of(request).history)})


ROUTES = [
    Route("/v1/sdk-command-history", _create, methods=["POST"]),
    Route("/v1/sdk-command-history", _list),
]
