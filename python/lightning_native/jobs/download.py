"""Downloads of a job's code, with bounds on their size and on a silent server."""

import base64
import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from lightning_native.errors import JobError
from lightning_native.user_input.url_credentials import VARIABLE, has_credentials, without_credentials

_MOST_BYTES = 4 << 30
# A download ends if its server sends fewer bytes than this in so many seconds.
_LEAST_BYTES = 1024
_PATIENCE_SECONDS = 30.0
_CHUNK = 1 << 16
_REDIRECTED_TO = ("http", "https")


def download(url: str, path: Path) -> None:
    """Download a URL into a file; `${NAME}` in the URL is a variable of this process.

    Raises:
        JobError: it cannot be downloaded, is too large, or arrives too slowly.
    """
    try:
        with path.open("wb") as file:
            _Download(url, file.write, most=_MOST_BYTES).run()
    except OSError as error:
        raise JobError(f"{without_credentials(url)} cannot be kept: {error.strerror or error}") from error


def probe(url: str) -> None:
    """Check, with its first bytes, that a URL can be downloaded.

    Raises:
        JobError: it cannot, or nothing arrives.
    """
    _Download(url, lambda _content: None, most=None).run()


class _Download:
    """A download in a thread of its own, because Python has no time limit for the resolution of a host's name."""

    def __init__(self, url: str, write: Callable[[bytes], object], *, most: int | None) -> None:
        self._shown = without_credentials(url)
        self._request = _request(url)
        self._write = write
        self._most = most
        self._received = 0
        self._failure: BaseException | None = None
        self._given_up = False
        self._ended = threading.Event()

    def run(self) -> None:
        threading.Thread(target=self._receive, daemon=True, name="download").start()
        before = -_LEAST_BYTES
        try:
            while not self._ended.wait(_PATIENCE_SECONDS):
                if self._received - max(before, 0) < _LEAST_BYTES:
                    raise self._error(
                        f"the server has sent {self._received - max(before, 0)} bytes in {_PATIENCE_SECONDS:g} s"
                    )
                before = self._received
        finally:
            self._given_up = True
        if isinstance(self._failure, JobError):
            raise self._failure
        if self._failure is not None:
            raise self._error(without_credentials(str(self._failure))) from self._failure

    def _receive(self) -> None:
        try:
            with _open(self._request) as response:
                while content := response.read1(_CHUNK):  # type: ignore[attr-defined]  # every response has it
                    if self._given_up:
                        return
                    self._received += len(content)
                    if self._most is None:
                        return
                    if self._received > self._most:
                        raise self._error(f"it has more than {self._most >> 30} GiB")
                    self._write(content)
        except (OSError, http.client.HTTPException, ValueError, JobError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            self._failure = error
        finally:
            self._ended.set()

    def _error(self, reason: str) -> JobError:
        return JobError(f"{self._shown} cannot be downloaded: {reason}; download it yourself and name its path")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows redirects on the web only, not to files or other services of this computer."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in _REDIRECTED_TO:
            fp.close()
            shown, target = without_credentials(req.full_url), without_credentials(newurl)
            raise JobError(f"{shown} leads to {target}, which is not on the web; nothing is read there")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _open(request: urllib.request.Request) -> Iterator[IO[bytes]]:
    with urllib.request.build_opener(_Redirects).open(request, timeout=_PATIENCE_SECONDS) as response:
        yield response


def _request(url: str) -> urllib.request.Request:
    """Return the request for a URL; its user and password are sent to its own host only."""
    if has_credentials(url):
        raise JobError(
            f"{without_credentials(url)} has credentials in it, which would be kept with the job; put them into a "
            "variable of your environment, and write ${NAME} in their place"
        )
    shown = url

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise JobError(f"{shown} refers to {match[1]}, which your environment does not have; set it")
        return os.environ[match[1]]

    url = VARIABLE.sub(value_of, url)
    parts = urlsplit(url)
    info, at, host = parts.netloc.rpartition("@")
    try:
        if not at or parts.scheme == "ftp":
            return urllib.request.Request(url)  # noqa: S310  the caller has looked at its scheme
        user, _, password = info.partition(":")
        request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))  # noqa: S310  as above
    except ValueError as error:
        raise JobError(f"{shown} is no URL: {error}") from error
    plain = f"{unquote(user)}:{unquote(password)}"
    request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(plain.encode()).decode()}")
    return request
