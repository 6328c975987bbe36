"""Files of studios and teamspaces: listed, downloaded, deleted, and uploaded through signed addresses."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from lightning_native.emulator.api import address_of, body_of, cloud_of, number_in, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import DEFAULT_CLUSTER
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.studios import studio_of
from lightning_native.emulator.services.files.drive import drive_folder, inside
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Studio
from lightning_native.emulator.state.store import new_id

_PAGE = 1000
_MAX_PARTS = 10_000
_UPLOAD = re.compile(r"[0-9a-z]{26}")
_HOME_PREFIX = "teamspace/studios/this_studio/"
_STUDIOS = "studios"


def _plain(cloud: Cloud, path: str) -> str:
    """Return a path without the prefix of the studio's home, if the settings say so."""
    return path.strip("/").removeprefix(_HOME_PREFIX) if cloud.settings.strip_home_prefix else path


def _scope_of(request: Request, path: str) -> tuple[str, Path, str]:
    """Return the name and the folder of the files that a request is about, and the path in that folder."""
    cloud = cloud_of(request)
    path = _plain(cloud, path)
    if "studio" in request.path_params:
        studio = studio_of(request)
        return f"cloudspaces/{studio.id}", cloud.studio_home(studio), path
    teamspace = teamspace_of(request)
    top, _, rest = path.strip("/").partition("/")
    name, _, inner = rest.partition("/")
    if top == _STUDIOS and name:
        # The drive shows the files of each studio under its name.
        for studio in _studios(cloud, teamspace.id):
            if studio.name == name:
                return f"cloudspaces/{studio.id}", cloud.studio_home(studio), inner
        raise ApiError(404, f"no studio {name!r} in this teamspace")
    return f"projects/{teamspace.id}", drive_folder(cloud, teamspace.id), path


def _studios(cloud: Cloud, teamspace_id: str) -> list[Studio]:
    studios = [studio for studio in cloud.studios if studio.teamspace_id == teamspace_id]
    return sorted(studios, key=lambda studio: studio.name)


def _folder_of_scope(cloud: Cloud, scope: str) -> Path:
    kind, _, key = scope.partition("/")
    if kind == "projects":
        return drive_folder(cloud, key)
    studio = cloud.studios.get(key)
    if studio is None:
        raise ApiError(404, f"studio {key} not found")
    return cloud.studio_home(studio)


def _entry(folder: Path, path: str, target: os.DirEntry[str]) -> dict[str, Any] | None:
    try:
        status = target.stat()
        if target.is_symlink() and not Path(os.path.realpath(target.path)).is_relative_to(folder):
            # What cannot be downloaded is not shown either.
            return None
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return {"path": path, "type": "tree"}
    if not stat.S_ISREG(status.st_mode):
        return None
    return {
        "path": path,
        "type": "blob",
        "size": status.st_size,
        "lastModified": timestamp(status.st_mtime),
        "clusterId": DEFAULT_CLUSTER,
    }


def _entries(top: Path, folder: Path, prefix: str, recursive: bool) -> Iterator[dict[str, Any]]:
    try:
        with os.scandir(folder) as scan:
            children = sorted(scan, key=lambda child: child.name)
    except OSError:
        return
    for child in children:
        path = prefix + child.name
        if recursive and child.is_dir(follow_symlinks=False):
            yield from _entries(top, folder / child.name, path + "/", recursive)
        elif (entry := _entry(top, path, child)) is not None and not (recursive and entry["type"] == "tree"):
            yield entry


def _entries_of_drive(cloud: Cloud, teamspace_id: str, path: str, recursive: bool) -> Iterator[dict[str, Any]]:
    """Yield what is in a folder of a teamspace's drive, its studios among it."""
    folder = drive_folder(cloud, teamspace_id)
    path = path.strip("/")
    if path not in ("", _STUDIOS):
        yield from _entries(folder, inside(folder, path), "", recursive)
        return
    above = "" if path else f"{_STUDIOS}/"
    if not path:
        # The folder of that name is where a studio's home is mounted in its own namespace.
        hidden = (_STUDIOS, f"{_STUDIOS}/")
        everything = _entries(folder, inside(folder, ""), "", recursive)
        yield from (
            entry for entry in everything if entry["path"] != hidden[0] and not entry["path"].startswith(hidden[1])
        )
    studios = _studios(cloud, teamspace_id)
    if recursive:
        for studio in studios:
            home = cloud.studio_home(studio)
            yield from _entries(home, inside(home, ""), f"{above}{studio.name}/", recursive)
    elif path:
        yield from ({"path": studio.name, "type": "tree"} for studio in studios)
    elif studios:
        yield {"path": _STUDIOS, "type": "tree"}


async def _list(request: Request) -> Response:
    scope, folder, path = _scope_of(request, request.path_params["path"])
    query = request.query_params
    recursive = query.get("recursive") == "true"
    kind, _, key = scope.partition("/")
    if kind == "projects":
        entries = list(_entries_of_drive(cloud_of(request), key, path, recursive))
    else:
        entries = list(_entries(folder, inside(folder, path), "", recursive))
    start = number_in(query, "cursor", 0)
    following = start + min(number_in(query, "atMost", _PAGE) or _PAGE, _PAGE)
    return reply({"tree": entries[start:following], "nextCursor": str(following) if following < len(entries) else None})


def file_of(request: Request, path: str) -> Path:
    """Return the file at a path of what a request is about; 404 when there is none."""
    _, folder, inner = _scope_of(request, path)
    target = inside(folder, inner)
    if not target.is_file():
        raise ApiError(404, f"no file {path!r}")
    return target


def answer_file(request: Request, path: str) -> Response:
    """Answer with the content of a file; 404 when there is none."""
    return FileResponse(file_of(request, path), media_type="application/octet-stream")


async def _download(request: Request) -> Response:
    return answer_file(request, request.path_params["path"])


async def _delete_file(request: Request) -> Response:
    file_of(request, request.path_params["path"]).unlink()
    return Response(status_code=204)


async def _delete_folder(request: Request) -> Response:
    _, folder, path = _scope_of(request, request.path_params["path"])
    target = inside(folder, path)
    if target == folder or target.is_symlink() or not target.is_dir():
        raise ApiError(404, f"no folder {request.path_params['path']!r}")
    shutil.rmtree(target)
    return Response(status_code=204)


def sign(cloud: Cloud, payload: dict[str, Any]) -> str:
    """Return a text that only this cloud can have made."""
    content = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode()
    return f"{content}.{_signature(cloud, content)}"


def _signature(cloud: Cloud, content: str) -> str:
    return hmac.new(cloud.api_key.encode(), content.encode(), hashlib.sha256).hexdigest()


def verify(cloud: Cloud, token: str) -> dict[str, Any]:
    """Return what was signed; 403 for anything else."""
    content, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(cloud, content).encode()):
        raise ApiError(403, "the address is not signed by this server")
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content))
    return payload


async def _request_uploads(request: Request) -> Response:
    body = await body_of(request)
    return reply({"results": [upload_of(request, blob) for blob in body.get("blobs") or []]})


def _target_of(request: Request, path: str) -> tuple[str, str, Path]:
    """Return the scope, the path in it and the place of a file that is uploaded."""
    scope, folder, inner = _scope_of(request, path)
    target = inside(folder, inner)
    if target == folder:
        raise ApiError(400, "a file needs a path")
    return scope, inner, target


def upload_of(request: Request, blob: dict[str, Any]) -> dict[str, Any]:
    """Return the signed addresses that a file is uploaded to."""
    cloud = cloud_of(request)
    scope, path, _ = _target_of(request, str(blob.get("path") or ""))
    if isinstance(blob.get("parts"), list):
        raise ApiError(400, "`parts` is the number of parts")
    parts = int(blob.get("parts") or 1)
    upload_id = str(blob.get("upload_id") or "")
    if upload_id:
        numbers = [_part_number(number) for number in blob.get("part_numbers") or []]
    elif parts > _MAX_PARTS:
        raise ApiError(400, f"{parts} parts are more than {_MAX_PARTS}")
    elif parts > 1:
        upload_id = new_id()
        parts_folder(cloud, upload_id).mkdir(parents=True)
        numbers = list(range(1, parts + 1))
    else:
        numbers = [0]
    urls = []
    for number in numbers:
        token = sign(cloud, {"scope": scope, "path": path, "upload": upload_id, "part": number})
        url: dict[str, Any] = {"url": f"{address_of(request)}/storage/{token}"}
        urls.append({**url, "part_number": number} if number else url)
    return {"path": path, "upload_id": upload_id, "urls": urls, "complete_required": False}


def _part_number(number: Any) -> int:
    text = str(number)
    if not (text.isdecimal() and text.isascii() and len(text) <= len(str(_MAX_PARTS)) and 1 <= int(text) <= _MAX_PARTS):
        raise ApiError(400, f"{text[:50]!r} is no number of a part: from 1 to {_MAX_PARTS}")
    return int(text)


def parts_folder(cloud: Cloud, upload_id: str) -> Path:
    """Return where the parts of an upload are."""
    if not _UPLOAD.fullmatch(upload_id):
        raise ApiError(400, f"{upload_id[:50]!r} is no upload")
    return cloud.root / "uploads" / upload_id


async def _receive(request: Request) -> Response:
    cloud = cloud_of(request)
    payload = verify(cloud, request.path_params["token"])
    if payload["upload"]:
        folder = parts_folder(cloud, payload["upload"])
        if not folder.is_dir():
            raise ApiError(404, "this upload was finished or given up")
        target = folder / str(payload["part"])
    else:
        folder = _folder_of_scope(cloud, payload["scope"])
        target = inside(folder, payload["path"])
    etag = await _receive_file(request, cloud, target, folder)
    return Response(headers={"ETag": f'"{etag}"'})


async def receive_at(request: Request, path: str) -> Response:
    """Take the file that a request's body is, to a path of what it is about."""
    cloud = cloud_of(request)
    scope, _, target = _target_of(request, path)
    etag = await _receive_file(request, cloud, target, _folder_of_scope(cloud, scope))
    return Response(headers={"ETag": f'"{etag}"'})


async def _receive_file(request: Request, cloud: Cloud, target: Path, folder: Path) -> str:
    """Write a request's body to a file, all of it or nothing; return a digest of it."""
    partial = _partial(cloud)
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    try:
        with partial.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > cloud.settings.upload_limit:
                    raise ApiError(413, f"the file is larger than {cloud.settings.upload_limit} bytes")
                digest.update(chunk)
                file.write(chunk)
        _place(cloud, partial, target, folder)
    except ClientDisconnect as error:
        raise ApiError(400, "the upload was cut off") from error
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest()


def _partial(cloud: Cloud) -> Path:
    folder = cloud.root / "uploads" / "partial"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / uuid4().hex


def _place(cloud: Cloud, partial: Path, target: Path, folder: Path) -> None:
    """Move a complete file to its place in a folder."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Keep the mode of a file that is replaced, such as an executable script.
        partial.chmod(stat.S_IMODE(target.stat().st_mode) if target.is_file() else 0o644)
        partial.replace(target)
        cloud.give(target, folder)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise ApiError(400, f"cannot write {target.name!r}: a file and a folder have the same path") from error


async def _complete_uploads(request: Request) -> Response:
    body = await body_of(request)
    for blob in body.get("blobs") or []:
        if blob.get("upload_id"):
            join_parts(request, blob)
    return reply({})


def join_parts(request: Request, blob: dict[str, Any]) -> None:
    """Make the file of an upload from its parts."""
    cloud = cloud_of(request)
    _, folder, path = _scope_of(request, str(blob.get("path") or ""))
    target = inside(folder, path)
    received = parts_folder(cloud, str(blob["upload_id"]))
    if not received.is_dir():
        # The request may come twice: the first one did it.
        if target.is_file():
            return
        raise ApiError(404, "this upload was given up")
    parts = blob.get("parts") or []
    if not isinstance(parts, list):
        raise ApiError(400, "`parts` is not a list of parts")
    parts = sorted(parts, key=lambda part: _part_number(part["part_number"]))
    partial = _partial(cloud)
    try:
        with partial.open("wb") as file:
            for part in parts:
                source = received / str(int(part["part_number"]))
                if not source.is_file():
                    raise ApiError(400, f"part {part['part_number']} is missing")
                with source.open("rb") as content:
                    digest = _digest(content)
                    if str(part.get("etag")).strip('"') != digest:
                        raise ApiError(400, f"part {part['part_number']} is not the one that was uploaded")
                    content.seek(0)
                    shutil.copyfileobj(content, file)
        _place(cloud, partial, target, folder)
    finally:
        partial.unlink(missing_ok=True)
    shutil.rmtree(received, ignore_errors=True)


def _digest(content: BinaryIO) -> str:
    digest = hashlib.blake2b(digest_size=16)
    while chunk := content.read(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()


def _routes(prefix: str) -> list[Route]:
    return [
        Route(prefix + "/blobs", _request_uploads, methods=["POST"]),
        Route(prefix + "/blobs/complete", _complete_uploads, methods=["POST"]),
        Route(prefix + "/blobs/{path:path}", _download),
        Route(prefix + "/blobs/{path:path}", _delete_file, methods=["DELETE"]),
        Route(prefix + "/trees/{path:path}", _list),
        Route(prefix + "/trees/{path:path}", _delete_folder, methods=["DELETE"]),
    ]


ROUTES = [
    Route("/storage/{token}", _receive, methods=["PUT"]),
    *_routes("/v1/projects/{project}/artifacts/cloudspaces/{studio}"),
    *_routes("/v1/projects/{project}/artifacts"),
]
