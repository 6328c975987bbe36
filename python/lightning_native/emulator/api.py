"""The shapes of the API: the JSON of a request, checked, and answers like the platform's."""

import errno
import json
import math
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.strict.network import HOST

if TYPE_CHECKING:
    from lightning_native.emulator.state.cloud import Cloud

# Status codes of gRPC, which the platform's error bodies carry.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 501: 12, 503: 14}
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_DEPTH = 50
_MAX_NUMBER = 2**53
# Errors of the file system that the path in a request causes, rather than this server.
_WRONG_PATHS = {
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Fields that endpoints read, wherever they are in a body; any other field is only kept.
_OBJECTS = {"spec", "computeConfig", "cloudspace", "job", "mmt", "endpoint", "sharedFilesystem"}
_LISTS_OF_OBJECTS = {"blobs", "steps", "seedFiles", "pathMappings", "env", "volumes"}
_LISTS_OF_TEXTS = {"tags", "ports", "waitFor", "part_numbers"}
_NUMBERS = {"machines", "maxRunAttempts", "idleShutdownSeconds", "interruptionRetryLimit", "part_number"}
_TEXTS = {
    *("actionType", "clusterId", "cloudspaceId", "cloudSpaceEnvironmentTemplateId", "command", "connectionName"),
    *("connectionPath", "containerPath", "contents", "cronExpression", "desiredState", "displayName", "entrypoint"),
    *("etag", "image", "instanceName", "instanceType", "message", "name", "newName", "organizationId"),
    *("parentPipelineId", "parentResourceId", "path", "resourceId", "resourceType", "runId", "state"),
    *("targetProjectId", "timezone", "type", "upload_id", "value"),
}
# Half a character, except those that stand for a byte in file names.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def reply(value: Any, status: int = 200) -> Response:
    """Answer with JSON; None values at the top of an object are left out, as the platform does."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if item is not None}
    return Response(json.dumps(value), status, media_type="application/json")


def failure(status: int, message: str, code: int | None = None) -> Response:
    """Answer with an error body."""
    code = _CODES.get(status, 2) if code is None else code
    return reply({"code": code, "message": message, "details": []}, status)


def status_of(error: OSError) -> int:
    """Return the status for an error of the file system: the request's fault, no room, or this server's fault."""
    if error.errno in _WRONG_PATHS:
        return 400
    if error.errno in (errno.ENOENT, errno.EACCES):
        return 404
    return 507 if error.errno in _NO_ROOM else 500


def address_of(request: Request) -> str:
    """Return the address of this server for the client of a request, which may be in a machine of its own."""
    cloud = cloud_of(request)
    machines = cloud.url.replace("127.0.0.1", HOST)
    return machines if f"http://{request.headers['host']}" == machines else cloud.url


def cloud_of(request: Request) -> "Cloud":
    """Return the cloud that a request is for."""
    cloud: Cloud = request.app.state.cloud
    return cloud


async def chunks_of(request: Request, name: str = "body") -> AsyncIterator[bytes]:
    """Yield the body of a request as it arrives; 400 when its client leaves before the end."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ApiError(400, f"the {name} was cut off") from error


async def content_of(request: Request, limit: int) -> bytes:
    """Return the body of a request; 413 when it is larger than the limit, beyond which nothing is read."""
    content = bytearray()
    async for chunk in chunks_of(request):
        content += chunk
        if len(content) > limit:
            raise ApiError(413, f"the body is larger than {limit} bytes")
    return bytes(content)


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; empty when it carries none.

    Fields that endpoints read have the expected kinds; otherwise the answer is 400.
    """
    content = await content_of(request, _MAX_BODY_BYTES)
    if not content:
        return {}
    try:
        value = json.loads(content, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object")
    _check(value)
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large a number")
    return value


def _check(body: dict[str, Any]) -> None:
    """Raise unless every field of a body has the kind that belongs to its name."""
    below: list[tuple[Any, int]] = [(body, 1)]
    while below:
        value, depth = below.pop()
        if depth > _MAX_DEPTH:
            raise ApiError(400, f"the body has more than {_MAX_DEPTH} levels")
        if isinstance(value, dict):
            for key, item in value.items():
                _check_text(key, key)
                _check_field(key, item)
                below.append((item, depth + 1))
        elif isinstance(value, list):
            below.extend((item, depth + 1) for item in value)
        elif isinstance(value, str):
            _check_text("the body", value)
        elif isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise ApiError(400, "the body has a number with too many digits")


def _check_text(where: str, text: str) -> None:
    if _HALF.search(text):
        raise ApiError(400, f"{where!r} has half a character (a lone surrogate)")


def _check_field(key: str, value: Any) -> None:
    if value is None:
        return
    if key in _OBJECTS and not isinstance(value, dict):
        kind = "an object"
    elif key in _LISTS_OF_OBJECTS and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        kind = "a list of objects"
    elif key in _LISTS_OF_TEXTS and not (isinstance(value, list) and all(map(_is_text, value))):
        kind = "a list of texts"
    elif key in _NUMBERS and not _is_number(value):
        kind = "a whole number"
    elif key == "parts" and not (_is_number(value) or (isinstance(value, list) and all(map(_is_part, value)))):
        kind = "a whole number, or a list of parts"
    elif key in _TEXTS and not _is_text(value):
        kind = "a text"
    else:
        return
    raise ApiError(400, f"`{key}` is not {kind}")


def _is_text(value: Any) -> bool:
    # Numbers and truth values count as the text that stands for them.
    return isinstance(value, str | int | float)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        # JSON has numbers of 64 bits as text.
        return value.removeprefix("-").isdecimal() and value.isascii() and len(value) <= len(str(_MAX_NUMBER))
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_NUMBER)


def _is_part(value: Any) -> bool:
    # Older clients spell it differently, or ask for parts by number alone.
    number = value.get("part_number", value.get("partNumber")) if isinstance(value, dict) else value
    return _is_number(number)


def number_in(query: QueryParams, name: str, default: int) -> int:
    """Return a number of a query that is at least 0; 400 for anything else."""
    text = query.get(name) or str(default)
    if not (_is_number(text) and int(text) >= 0):
        raise ApiError(400, f"`{name}` is no number from 0 on: {text[:50]!r}")
    return int(text)
