"""Endpoints that only the lightning-sdk before 2026.8.14 asks for: a login, uploads in one request, and plugins.

It exchanges its key for a token, and sends the token in the address of every request about files.
"""

import hmac
import re
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import address_of, body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.files.artifacts import answer_file, place_of
from lightning_native.emulator.endpoints.files.uploads import receive_at
from lightning_native.emulator.endpoints.studios import studio_of
from lightning_native.emulator.services.files import uploads
from lightning_native.emulator.services.files.artifacts import existing_file
from lightning_native.emulator.services.signatures import signature
from lightning_native.emulator.state.cloud import Cloud

# The prefixes of a studio's files and of the drive's uploads in the addresses of uploads in parts.
_HOME_OF_STUDIO = ("cloudspaces", "code/content/")
_UPLOADS = "uploads"
_ABOUT_FILES = re.compile(r"/v1/projects/[^/]+/artifacts/")


def token_of(cloud: Cloud) -> str:
    """Return the token that a login results in; it is valid for requests about files only."""
    return signature(cloud, "login")


def has_token(cloud: Cloud, path: str, query: str) -> bool:
    """Whether a request is about files and has a login's token in its address."""
    if not _ABOUT_FILES.match(path):
        return False
    tokens = QueryParams(query).getlist("token")
    return len(tokens) == 1 and hmac.compare_digest(tokens[0].encode(), token_of(cloud).encode())


async def _login(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    if not hmac.compare_digest(str(body.get("apiKey") or "").encode(), cloud.api_key.encode()):
        raise ApiError(401, "the API key is missing or wrong")
    return reply({"token": token_of(cloud)})


async def _no_plugins(_request: Request) -> Response:
    return reply({"plugins": {}})


async def _no_plugins_of_studio(request: Request) -> Response:
    studio_of(request)
    return reply({"plugins": {}})


async def _put(request: Request) -> Response:
    return await receive_at(request, request.path_params["path"])


async def _put_upload(request: Request) -> Response:
    return await receive_at(request, f"{_UPLOADS}/{request.path_params['path']}")


async def _complete(request: Request) -> Response:
    path = request.path_params["path"]
    existing_file(place_of(request, path), path)
    return reply({})


async def _complete_upload(request: Request) -> Response:
    path = f"{_UPLOADS}/{request.path_params['path']}"
    existing_file(place_of(request, path), path)
    return reply({})


async def _download_by_key(request: Request) -> Response:
    return answer_file(request, _path_of_key(request, request.query_params.get("key", "")))


def _path_of_key(request: Request, key: str) -> str:
    """Return the path that `/Uploads/…` or `/cloudspaces/ID/code/content/…` means, and record the studio in it."""
    top, _, rest = key.lstrip("/").partition("/")
    if top.lower() == _UPLOADS:
        return f"{_UPLOADS}/{rest}"
    studio, _, path = rest.partition("/")
    if top == _HOME_OF_STUDIO[0] and path.startswith(_HOME_OF_STUDIO[1]):
        request.path_params["studio"] = studio
        return path.removeprefix(_HOME_OF_STUDIO[1])
    return key.lstrip("/")


async def _begin_parts(request: Request) -> Response:
    teamspace_of(request)
    return reply({"uploadId": uploads.begin_parts(cloud_of(request))})


async def _sign_parts(request: Request) -> Response:
    body = await body_of(request)
    blob = {"upload_id": request.path_params["upload"], "part_numbers": _list_in(body, "parts")}
    place = place_of(request, _path_of_key(request, str(body.get("filename") or "")))
    urls = uploads.begin(cloud_of(request), place, blob, address_of(request))["urls"]
    return reply({"urls": [{"url": url["url"], "partNumber": str(url["part_number"])} for url in urls]})


async def _complete_parts(request: Request) -> Response:
    body = await body_of(request)
    parts = [_part(part) for part in _list_in(body, "parts")]
    place = place_of(request, _path_of_key(request, str(body.get("filename") or "")))
    uploads.join_parts(cloud_of(request), place, {"upload_id": str(body.get("uploadId") or ""), "parts": parts})
    return reply({})


def _list_in(body: dict[str, Any], key: str) -> list[Any]:
    value = body.get(key) or []
    if not isinstance(value, list):
        raise ApiError(400, f"`{key}` is not a list")
    return value


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise ApiError(400, "`parts` is not a list of parts")
    return {"part_number": part.get("partNumber"), "etag": part.get("etag")}


_PROJECT = "/v1/projects/{project}"
_FILES = _PROJECT + "/artifacts"
_HOME = _FILES + "/cloudspaces/{studio}"
ROUTES = [
    Route("/v1/auth/login", _login, methods=["POST"]),
    Route("/v1/cloudspaces/plugins", _no_plugins),
    Route(_PROJECT + "/cloudspaces/{studio}/plugins", _no_plugins_of_studio),
    Route(_PROJECT + "/storage", _begin_parts, methods=["POST"]),
    Route(_PROJECT + "/storage/complete", _complete_parts, methods=["POST"]),
    Route(_PROJECT + "/storage/uploads/{upload}", _sign_parts, methods=["POST"]),
    Route(_FILES + "/download", _download_by_key),
    Route(_FILES + "/uploads/blobs/{path:path}/complete", _complete_upload, methods=["POST"]),
    Route(_FILES + "/uploads/blobs/{path:path}", _put_upload, methods=["PUT"]),
    *(Route(prefix + "/blobs/{path:path}/complete", _complete, methods=["POST"]) for prefix in (_HOME, _FILES)),
    *(Route(prefix + "/blobs/{path:path}", _put, methods=["PUT"]) for prefix in (_HOME, _FILES)),
]
