"""Commands in a studio: `execute` starts one, `stream` follows it."""

import asyncio
import contextlib
import json
import os

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints.studios import studio_of
from lightning_native.emulator.services import commands
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Command

# The first answer to a command that still runs comes when `Studio.run_and_detach` stops waiting by default,
# further ones well before the SDK's read timeout of 30 s. The SDK sleeps 1 s after each.
_FIRST_ANSWER_SECONDS = 10.0
_NEXT_ANSWER_SECONDS = 20.0


async def _execute(request: Request) -> Response:
    cloud, studio, body = cloud_of(request), studio_of(request), await body_of(request)
    text = body.get("command")
    if not isinstance(text, str):
        raise ApiError(400, "`command` is missing")
    command = await commands.execute(cloud, studio, text)
    if not body.get("detached"):
        await cloud.end_of(command.id).wait()
        return reply({"sessionName": command.id, "exitCode": command.exit_code, "output": _output(cloud, command)})
    return reply({"sessionName": command.id, "exitCode": -1, "output": ""})


def _output(cloud: Cloud, command: Command) -> str:
    output = commands.output_of(cloud, command)[1]
    try:
        return output.decode()
    except UnicodeDecodeError:
        if cloud.settings.profile.utf8_output:
            # The platform's answers cannot hold it; the command itself has succeeded.
            raise ApiError(500, "the output of the command is not valid UTF-8") from None
        return output.decode(errors="replace")


async def _stream(request: Request) -> Response:
    cloud, studio = cloud_of(request), studio_of(request)
    command = cloud.commands.get(request.path_params["session"])
    if command is None or command.studio_id != studio.id:
        raise ApiError(404, f"no command {request.path_params['session']} in studio {studio.name}")
    if command.exit_code is None:
        age = (cloud.clock.now() - command.created_at) / cloud.clock.rate
        patience = _FIRST_ANSWER_SECONDS - age if age < _FIRST_ANSWER_SECONDS else _NEXT_ANSWER_SECONDS
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(cloud.end_of(command.id).wait(), patience)
    if command.exit_code is None:
        result: dict[str, object] = {"exitCode": -1, "output": ""}
    else:
        result = {"exitCode": command.exit_code, "output": _output(cloud, command)}
    # One line of pure ASCII, because the SDK also splits at Unicode's line separators.
    return Response(json.dumps({"result": result}) + os.linesep, media_type="application/x-ndjson")


ROUTES = [
    Route("/v1/projects/{project}/cloudspaces/{studio}/execute", _execute, methods=["POST"]),
    Route("/v1/projects/{project}/cloudspaces/{studio}/execute/{session}/stream", _stream),
]
