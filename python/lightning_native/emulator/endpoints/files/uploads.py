"""Uploads of files: the requests for signed addresses, and the addresses themselves."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import address_of, body_of, chunks_of, cloud_of, reply
from lightning_native.emulator.endpoints.files.artifacts import place_of
from lightning_native.emulator.services.files import uploads
from lightning_native.emulator.services.signatures import verify


async def _request_uploads(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    results = [
        uploads.begin(cloud, place_of(request, str(blob.get("path") or "")), blob, address_of(request))
        for blob in body.get("blobs") or []
    ]
    return reply({"results": results})


async def _receive(request: Request) -> Response:
    cloud = cloud_of(request)
    payload = verify(cloud, request.path_params["token"])
    etag = await uploads.receive(cloud, payload, chunks_of(request, "upload"))
    return Response(headers={"ETag": f'"{etag}"'})


async def receive_at(request: Request, path: str) -> Response:
    """Write the body of a request to a path in the files that the request is about."""
    etag = await uploads.receive_at(cloud_of(request), place_of(request, path), chunks_of(request, "upload"))
    return Response(headers={"ETag": f'"{etag}"'})


async def _complete_uploads(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    for blob in body.get("blobs") or []:
        if blob.get("upload_id"):
            uploads.join_parts(cloud, place_of(request, str(blob.get("path") or "")), blob)
    return reply({})


def _routes(prefix: str) -> list[Route]:
    return [
        Route(prefix + "/blobs", _request_uploads, methods=["POST"]),
        Route(prefix + "/blobs/complete", _complete_uploads, methods=["POST"]),
    ]


ROUTES = [
    Route("/storage/{token}", _receive, methods=["PUT"]),
    *_routes("/v1/projects/{project}/artifacts/cloudspaces/{studio}"),
    *_routes("/v1/projects/{project}/artifacts"),
]
