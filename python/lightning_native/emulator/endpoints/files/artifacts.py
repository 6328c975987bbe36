"""Files of studios and teamspaces: listed, downloaded, deleted."""

import shutil

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, number_in, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.studios import studio_of
from lightning_native.emulator.services.files import artifacts
from lightning_native.emulator.services.files.artifacts import Place

_PAGE = 1000


def place_of(request: Request, path: str) -> Place:
    """Return a path in the files that a request is about: those of a studio or of the drive."""
    cloud = cloud_of(request)
    if "studio" in request.path_params:
        return artifacts.place_in_studio(cloud, studio_of(request), path)
    return artifacts.place_in_drive(cloud, teamspace_of(request).id, path)


async def _list(request: Request) -> Response:
    place, query = place_of(request, request.path_params["path"]), request.query_params
    entries = artifacts.entries(cloud_of(request), place, recursive=query.get("recursive") == "true")
    start = number_in(query, "cursor", 0)
    following = start + min(number_in(query, "atMost", _PAGE) or _PAGE, _PAGE)
    return reply({"tree": entries[start:following], "nextCursor": str(following) if following < len(entries) else None})


def answer_file(request: Request, path: str) -> Response:
    """Answer with the content of a file; 404 when there is none."""
    file = artifacts.existing_file(place_of(request, path), path)
    return FileResponse(file, media_type="application/octet-stream")


async def _download(request: Request) -> Response:
    return answer_file(request, request.path_params["path"])


async def _delete_file(request: Request) -> Response:
    path = request.path_params["path"]
    artifacts.existing_file(place_of(request, path), path).unlink()
    return Response(status_code=204)


async def _delete_folder(request: Request) -> Response:
    place = place_of(request, request.path_params["path"])
    target = place.target
    if target == place.folder or target.is_symlink() or not target.is_dir():
        raise ApiError(404, f"no folder {request.path_params['path']!r}")
    shutil.rmtree(target)
    return Response(status_code=204)


def _routes(prefix: str) -> list[Route]:
    return [
        Route(prefix + "/blobs/{path:path}", _download),
        Route(prefix + "/blobs/{path:path}", _delete_file, methods=["DELETE"]),
        Route(prefix + "/trees/{path:path}", _list),
        Route(prefix + "/trees/{path:path}", _delete_folder, methods=["DELETE"]),
    ]


ROUTES = [
    *_routes("/v1/projects/{project}/artifacts/cloudspaces/{studio}"),
    *_routes("/v1/projects/{project}/artifacts"),
]
