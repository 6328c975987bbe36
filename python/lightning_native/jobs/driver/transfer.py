"""Inputs, which are fetched before the code runs, and the output, which is copied afterwards."""

from __future__ import annotations

import os
import shutil
import urllib.request
from urllib.parse import urlparse

from .accounts import expanded, hidden, request_of
from .code import base_name
from .errors import DriverError, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The longest wait for a silent server.
PATIENCE_SECONDS = 60


class WebRedirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows redirects on the web only, not to files or other services of this machine."""

    def redirect_request(  # noqa: D102  the base class's own
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlparse(newurl).scheme not in ("http", "https"):
            fp.close()
            raise DriverError(f"it leads to {newurl}, which is not on the web")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(uri: str, path: str) -> None:
    """Copy an input to a path relative to the working folder."""
    if path.endswith("/"):
        path = os.path.join(path, base_name(uri))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    written, uri = uri, expanded(uri)
    try:
        if urlparse(uri).scheme in ("http", "https", "ftp"):
            opener = urllib.request.build_opener(WebRedirects)
            with opener.open(request_of(uri), timeout=PATIENCE_SECONDS) as source, open(path, "wb") as stream:
                shutil.copyfileobj(source, stream)
        elif urlparse(uri).scheme in ("", "file"):
            shutil.copyfile(os.path.expanduser(urlparse(uri).path), path)
        else:
            fetch_remote(uri, path)
    except Exception as error:
        reason = hidden(str(error))
    else:
        return
    # Raised outside of the handler, because a traceback shows the handled error, whose URL may have a secret.
    raise DriverError(f"the input {hidden(written)} cannot be fetched: {reason}")


def fetch_remote(uri: str, path: str) -> None:
    """Copy a file or a folder that fsspec can read."""
    import fsspec

    filesystem, source_path = fsspec.core.url_to_fs(uri)
    if any(".." in name.split("/") for name in filesystem.find(source_path)):
        raise DriverError("it has a name with `..`, which would be written elsewhere")
    filesystem.get(source_path, path, recursive=True)


def copy_output(folder: str | None, uri: str | None) -> None:
    """Copy the output folder to its destination; if that fails, it stays, and the log reports that."""
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
        reason = f"it cannot be copied to {hidden(uri)} ({hidden(str(error))})"
        say(f"the output stays in {folder}, among the job's artifacts: {reason}")
    else:
        say("the output is at " + hidden(uri))
