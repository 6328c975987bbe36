"""Files that come before the code runs, and that go when it has run."""

from __future__ import annotations

import os
import shutil
import urllib.request
from urllib.parse import urlparse

from .code import base_name
from .errors import DriverError, say


def fetch(uri: str, path: str) -> None:
    """Copy an input to a path relative to the working folder."""
    if path.endswith("/"):
        path = os.path.join(path, base_name(uri))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    try:
        if urlparse(uri).scheme in ("http", "https", "ftp"):
            with urllib.request.urlopen(uri) as source, open(path, "wb") as stream:  # noqa: S310  see the line above
                shutil.copyfileobj(source, stream)
        elif urlparse(uri).scheme in ("", "file"):
            shutil.copyfile(os.path.expanduser(urlparse(uri).path), path)
        else:
            import fsspec

            filesystem, source_path = fsspec.core.url_to_fs(uri)
            filesystem.get(source_path, path, recursive=True)
    except Exception as error:
        raise DriverError(f"the input {uri} cannot be fetched: {error}") from error


def copy_output(folder: str | None, uri: str | None) -> None:
    """Copy the output folder to where it is wanted; what cannot be copied stays, and is told."""
    if not folder or not uri:
        return
    folder = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(folder):
        say(f"there is no output: {folder} is no folder")
        return
    uri = os.path.expandvars(uri)
    try:
        if urlparse(uri).scheme in ("", "file"):
            target = os.path.abspath(os.path.expanduser(urlparse(uri).path))
            shutil.copytree(folder, target, dirs_exist_ok=True)
        else:
            import fsspec

            filesystem, path = fsspec.core.url_to_fs(uri)
            filesystem.put(folder + os.sep, path, recursive=True)
    except Exception as error:
        say(f"the output stays in {folder}, among the job's artifacts: it cannot be copied to {uri} ({error})")
    else:
        say("the output is at " + uri)
