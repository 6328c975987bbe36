"""Artifacts: the files of a studio and of a teamspace's drive, found by path and listed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER
from lightning_native.emulator.services.files.drive import base_of, drive_folder, inside
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Studio

_HOME_PREFIX = "teamspace/studios/this_studio/"
_STUDIOS = "studios"


@dataclass(frozen=True)
class Place:
    """A path in the files of a studio or of a drive.

    Attributes:
        scope: the name of these files: `cloudspaces/ID` or `projects/ID`.
        folder: the folder that holds them.
        path: the path in it.

    """

    scope: str
    folder: Path
    path: str

    @property
    def target(self) -> Path:
        """The path in full; 400 when it would lead out of the folder."""
        return inside(self.folder, self.path)


def place_in_studio(cloud: Cloud, studio: Studio, path: str) -> Place:
    """Return a path in the files of a studio."""
    return Place(f"cloudspaces/{studio.id}", cloud.studio_home(studio), _plain(cloud, path))


def place_in_drive(cloud: Cloud, teamspace_id: str, path: str) -> Place:
    """Return a path in the drive of a teamspace, which shows the files of each studio under its name."""
    path = _plain(cloud, path)
    top, _, rest = path.strip("/").partition("/")
    name, _, inner = rest.partition("/")
    if top != _STUDIOS or not name:
        return Place(f"projects/{teamspace_id}", base_of(cloud, teamspace_id, path), path)
    for studio in _studios(cloud, teamspace_id):
        # As on the platform, which finds a studio without regard to case.
        if name.lower() in (studio.name.lower(), studio.display_name.lower()):
            return Place(f"cloudspaces/{studio.id}", cloud.studio_home(studio), inner)
    raise ApiError(404, f"no studio {name!r} in this teamspace")


def _plain(cloud: Cloud, path: str) -> str:
    """Return a path without the prefix of the studio's home, if the settings say so."""
    return path.strip("/").removeprefix(_HOME_PREFIX) if cloud.settings.strip_home_prefix else path


def _studios(cloud: Cloud, teamspace_id: str) -> list[Studio]:
    studios = [studio for studio in cloud.studios if studio.teamspace_id == teamspace_id]
    return sorted(studios, key=lambda studio: studio.name)


def folder_of_scope(cloud: Cloud, scope: str, path: str) -> Path:
    """Return the folder that holds a path of a scope's files; 404 when its studio is gone."""
    kind, _, key = scope.partition("/")
    if kind == "projects":
        return base_of(cloud, key, path)
    studio = cloud.studios.get(key)
    if studio is None:
        raise ApiError(404, f"studio {key} not found")
    return cloud.studio_home(studio)


def existing_file(place: Place, path: str) -> Path:
    """Return the file of a place; 404, with the path that was asked for, when there is none."""
    target = place.target
    if not target.is_file():
        raise ApiError(404, f"no file {path!r}")
    return target


def entries(cloud: Cloud, place: Place, *, recursive: bool) -> list[dict[str, Any]]:
    """Return the entries of a folder, as the API shows them."""
    kind, _, key = place.scope.partition("/")
    if kind == "projects":
        return list(_entries_of_drive(cloud, key, place.path, recursive))
    return list(_entries(place.folder, place.target, "", recursive))


def _entry(folder: Path, path: str, target: os.DirEntry[str]) -> dict[str, Any] | None:
    try:
        status = target.stat()
        if target.is_symlink() and not Path(os.path.realpath(target.path)).is_relative_to(folder):
            # A link that leads outside cannot be downloaded, so it is not shown either.
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
    """Yield the entries of a folder of a teamspace's drive, with its studios."""
    folder = drive_folder(cloud, teamspace_id)
    path = path.strip("/")
    if path not in ("", _STUDIOS):
        folder = base_of(cloud, teamspace_id, path)
        yield from _entries(folder, inside(folder, path), "", recursive)
        return
    above = "" if path else f"{_STUDIOS}/"
    if not path:
        # The folder of that name is the mount point for a studio's home in its namespace.
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
