"""Uploads to signed addresses, whole or in parts: a file appears complete or not at all."""

import hashlib
import re
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.files.artifacts import Place, folder_of_scope
from lightning_native.emulator.services.files.drive import inside, mount_later
from lightning_native.emulator.services.signatures import sign
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.store import new_id

_MAX_PARTS = 10_000
_UPLOAD = re.compile(r"[0-9a-z]{26}")


def begin(cloud: Cloud, place: Place, blob: dict[str, Any], address: str) -> dict[str, Any]:
    """Return the signed addresses for the upload of a file; they begin with an address of this server."""
    _file_at(place)
    kind, _, key = place.scope.partition("/")
    if kind == "projects":
        mount_later(cloud, key, place.path)
    if isinstance(blob.get("parts"), list):
        raise ApiError(400, "`parts` is the number of parts")
    parts = int(blob.get("parts") or 1)
    upload_id = str(blob.get("upload_id") or "")
    if upload_id:
        numbers = [_part_number(number) for number in blob.get("part_numbers") or []]
    elif parts > _MAX_PARTS:
        raise ApiError(400, f"{parts} parts are more than {_MAX_PARTS}")
    elif parts > 1:
        upload_id = begin_parts(cloud)
        numbers = list(range(1, parts + 1))
    else:
        numbers = [0]
    urls = []
    for number in numbers:
        token = sign(cloud, {"scope": place.scope, "path": place.path, "upload": upload_id, "part": number})
        url: dict[str, Any] = {"url": f"{address}/storage/{token}"}
        urls.append({**url, "part_number": number} if number else url)
    return {"path": place.path, "upload_id": upload_id, "urls": urls, "complete_required": False}


def begin_parts(cloud: Cloud) -> str:
    """Begin an upload in parts and return its id."""
    upload_id = new_id()
    _parts_folder(cloud, upload_id).mkdir(parents=True)
    return upload_id


def _file_at(place: Place) -> Path:
    if (target := place.target) == place.folder:
        raise ApiError(400, "a file needs a path")
    return target


def _part_number(number: Any) -> int:
    text = str(number)
    if not (text.isdecimal() and text.isascii() and len(text) <= len(str(_MAX_PARTS)) and 1 <= int(text) <= _MAX_PARTS):
        raise ApiError(400, f"{text[:50]!r} is no number of a part: from 1 to {_MAX_PARTS}")
    return int(text)


def _parts_folder(cloud: Cloud, upload_id: str) -> Path:
    """Return the folder with the parts of an upload."""
    if not _UPLOAD.fullmatch(upload_id):
        raise ApiError(400, f"{upload_id[:50]!r} is no upload")
    return cloud.root / "uploads" / upload_id


async def receive(cloud: Cloud, payload: dict[str, Any], chunks: AsyncIterator[bytes]) -> str:
    """Write the file or part that a signed address is for; return a digest of it."""
    if payload["upload"]:
        folder = _parts_folder(cloud, payload["upload"])
        if not folder.is_dir():
            raise ApiError(404, "this upload was finished or given up")
        target = folder / str(payload["part"])
    else:
        folder = folder_of_scope(cloud, payload["scope"], payload["path"])
        target = inside(folder, payload["path"])
    return await _write(cloud, chunks, target, folder)


async def receive_at(cloud: Cloud, place: Place, chunks: AsyncIterator[bytes]) -> str:
    """Write a file to its place; return a digest of it."""
    target = _file_at(place)
    return await _write(cloud, chunks, target, folder_of_scope(cloud, place.scope, place.path))


async def _write(cloud: Cloud, chunks: AsyncIterator[bytes], target: Path, folder: Path) -> str:
    """Write chunks to a file, all of them or nothing; return a digest of them."""
    partial = _partial(cloud)
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    try:
        with partial.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > cloud.settings.upload_limit:
                    raise ApiError(413, f"the file is larger than {cloud.settings.upload_limit} bytes")
                digest.update(chunk)
                file.write(chunk)
        _place(cloud, partial, target, folder)
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
        # A replaced file, such as an executable script, keeps its mode.
        partial.chmod(stat.S_IMODE(target.stat().st_mode) if target.is_file() else 0o644)
        partial.replace(target)
        cloud.give(target, folder)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise ApiError(400, f"cannot write {target.name!r}: a file and a folder have the same path") from error


def join_parts(cloud: Cloud, place: Place, blob: dict[str, Any]) -> None:
    """Create the file of an upload from its parts."""
    target = place.target
    received = _parts_folder(cloud, str(blob["upload_id"]))
    if not received.is_dir():
        # The request may arrive twice, and the first one joined them.
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
        _place(cloud, partial, target, place.folder)
    finally:
        partial.unlink(missing_ok=True)
    shutil.rmtree(received, ignore_errors=True)


def _digest(content: BinaryIO) -> str:
    digest = hashlib.blake2b(digest_size=16)
    while chunk := content.read(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()
