"""Faults of requests: the gate that causes them, and the endpoints that add and remove any fault."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lightning_native.emulator.api import body_of, cloud_of, failure, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.faults import REQUEST_KINDS, Fault
from lightning_native.errors import EmulatorError

# ASGI cannot break a connection; uvicorn's own object behind `send` has the transport.
TRANSPORT = "lightning_native.transport"
_OWN_PATHS = "/emulator/"
# An upload is in memory while it is damaged.
_MAX_DAMAGED_BYTES = 256 * 1024 * 1024
_TOO_LARGE = failure(413, f"an upload of more than {_MAX_DAMAGED_BYTES} bytes cannot be damaged by a fault")


def _matches(fault: Fault, method: str, path: str) -> bool:
    pattern = fault.match or REQUEST_KINDS[fault.kind]
    wanted_method, _, wanted_path = pattern.rpartition(" ")
    return fnmatchcase(method, wanted_method.strip() or "*") and fnmatchcase(path, wanted_path)


class FaultGate:
    """Lets requests fail as their faults demand, and passes the others on."""

    def __init__(self, app: ASGIApp, cloud: Cloud) -> None:
        self._app = app
        self._cloud = cloud
        self._outage: tuple[Fault, float] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless a fault is about it."""
        if scope["type"] == "http" and not scope["path"].startswith(_OWN_PATHS):
            if self._outage is not None:
                fault, end = self._outage
                if self._cloud.clock.now() < end and self._cloud.faults.has(fault):
                    await _answer(fault)(scope, receive, send)
                    return
                self._outage = None
            for fault in self._cloud.faults:
                if fault.kind in REQUEST_KINDS and _matches(fault, scope["method"], scope["path"]):
                    self._cloud.faults.fire(fault)
                    await self._fail(fault, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "delay":
            await self._cloud.clock.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind in ("truncate", "corrupt"):
            damaged = await _damaged(fault.kind, receive)
            await (self._app(scope, damaged, send) if damaged else _TOO_LARGE(scope, receive, send))
        else:
            if fault.kind == "outage":
                self._outage = fault, self._cloud.clock.now() + fault.seconds
            if fault.after_accept:
                await self._app(scope, receive, _nowhere)
            if fault.kind == "reset":
                _reset(scope)
                return
            await _answer(fault)(scope, receive, send)


def _answer(fault: Fault) -> Response:
    if fault.kind == "expired-key":
        return failure(401, "the API key has expired")
    if fault.kind == "full-disk":
        return failure(507, "no space is left on the device")
    answer = failure(fault.status, "a fault that was asked for")
    if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
        answer.headers["Retry-After"] = f"{math.ceil(fault.seconds)}"
    return answer


async def _nowhere(_message: Message) -> None:
    """Drop the answer to a request that is carried out and fails nevertheless."""


def _reset(scope: Scope) -> None:
    transport = scope[TRANSPORT]
    if transport is None:
        raise EmulatorError("this version of uvicorn does not let a connection be broken")
    transport.abort()


async def _damaged(kind: str, receive: Receive) -> Receive | None:
    content = b""
    more = True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(content) > _MAX_DAMAGED_BYTES:
            return None
    middle = len(content) // 2
    if kind == "truncate":
        content = content[:middle]
    elif content:
        content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
    messages: Iterator[Message] = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def damaged() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return damaged


async def _list(request: Request) -> Response:
    return reply({"faults": [asdict(fault) for fault in cloud_of(request).faults]})


async def _add(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    known: dict[str, Any] = {key: value for key, value in body.items() if key not in ("id", "fired")}
    try:
        fault = Fault(**known)
        fault.check()
    except (TypeError, EmulatorError) as error:
        raise ApiError(400, str(error)) from None
    cloud.faults.add(fault)
    # It is for jobs that have begun, too.
    for job in cloud.jobs:
        runner_of(cloud, job).take_interruption()
    return reply(asdict(fault))


async def _clear(request: Request) -> Response:
    cloud_of(request).faults.clear()
    return reply({})


async def _remove(request: Request) -> Response:
    number = request.path_params["number"]
    if not cloud_of(request).faults.remove(number):
        raise ApiError(404, f"fault {number[:50]} not found")
    return reply({})


ROUTES = [
    Route("/emulator/faults", _list),
    Route("/emulator/faults", _add, methods=["POST"]),
    Route("/emulator/faults", _clear, methods=["DELETE"]),
    Route("/emulator/faults/{number}", _remove, methods=["DELETE"]),
]
