"""The web application: the gate for requests, the list of all endpoints, and the answer where there is none."""

import base64
import hmac
import logging
import re
from collections import Counter

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lightning_native.emulator.api import failure, status_of
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.endpoints import (
    accounts,
    assistants,
    billing,
    commands,
    faults,
    links,
    machines,
    older_clients,
    page,
    pipelines,
    ports,
    schedules,
    sdk_history,
    secret_store,
    studios,
)
from lightning_native.emulator.endpoints.files import artifacts, connections, uploads
from lightning_native.emulator.endpoints.jobs import logs, multi_machine, single_machine, tags
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.store import StorageError
from lightning_native.emulator.strict.network import HOST
from lightning_native.errors import EmulatorError

logger = logging.getLogger("lightning_native.emulator")

_ROUTES = [
    # Before the organizations, whose route takes any path below it.
    *billing.ROUTES,
    *accounts.ROUTES,
    *machines.ROUTES,
    *studios.ROUTES,
    *commands.ROUTES,
    *uploads.ROUTES,
    *artifacts.ROUTES,
    *single_machine.ROUTES,
    *multi_machine.ROUTES,
    *logs.ROUTES,
    *tags.ROUTES,
    *pipelines.ROUTES,
    *schedules.ROUTES,
    *secret_store.ROUTES,
    *ports.ROUTES,
    *assistants.ROUTES,
    *connections.ROUTES,
    *older_clients.ROUTES,
    *faults.ROUTES,
    *sdk_history.ROUTES,
    *page.ROUTES,
    *links.ROUTES,
]
_SUPPORTED = "studios, jobs, pipelines, schedules, files, secrets, machines, teamspaces, users and organizations"


_HOST = re.compile(r"(?P<name>127\.0\.0\.1|localhost|10\.0\.2\.2)(:(?P<port>[0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_SIGNED = re.compile(r"/storage/(logs/)?[^/]+")
# Headers of every answer that has no others: no browser shows, sniffs or caches anything from this server.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MAX_UNSUPPORTED = 1000
_MAX_SHOWN = 200


def _is_shown(path: str) -> bool:
    """Whether a browser may ask for a path."""
    return page.is_page(path) or links.is_link(path)


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers


class Gate:
    """Lets in only requests for this host that carry the key."""

    def __init__(self, app: ASGIApp, cloud: Cloud) -> None:
        self._app = app
        self._cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 or 401, or pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        response = self._refusal(scope["path"], Headers(scope=scope), scope["query_string"].decode("latin-1"))
        if scope["type"] == "websocket":
            await (self._app if response is None else WebSocketClose(1008))(scope, receive, send)
        else:
            scope[faults.TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
            await (response or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, path: str, headers: Headers, query: str) -> Response | None:
        """Return the answer to a request that is refused; None for one that may pass."""
        if any(len(headers.getlist(name)) > 1 for name in ("host", "origin", "authorization")):
            return failure(400, "a request has one `Host`, one `Origin` and one `Authorization` at most")
        # A page of another site that resolves its own name to this computer must not reach the server.
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None or not 0 < int(host["port"] or 80) < 2**16 or not self._is_ours(host["name"]):
            return failure(400, "this server answers only for 127.0.0.1 and localhost")
        # The same holds for a page that sends its requests here directly.
        if headers.get("origin", f"http://{host[0]}").lower() != f"http://{host[0]}".lower():
            return failure(403, "this server takes no requests from pages of other sites")
        if self._may_pass(path, headers) or older_clients.has_token(self._cloud, path, query):
            return None
        return page.login_form() if _is_shown(path) else failure(401, "the API key is missing or wrong")

    def _is_ours(self, name: str) -> bool:
        # Machines that have a network of their own know this computer by this name.
        return name != HOST or self._cloud.strict is not None

    def _may_pass(self, path: str, headers: Headers) -> bool:
        # Addresses below /storage/ are signed, and the form that asks for the key must be sent without it.
        if _SIGNED.fullmatch(path) or path == "/login" or self._is_key(headers.get("authorization", "")):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(page.COOKIE, "")
        return _is_shown(path) and hmac.compare_digest(cookie.encode(), page.session_of(self._cloud).encode())

    def _is_key(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic":
            try:
                value = base64.b64decode(value, validate=True).decode()
            except ValueError:
                return False
            user, _, value = value.partition(":")
            if user != self._cloud.user.id:
                return False
        elif scheme != "Bearer":
            return False
        return hmac.compare_digest(value.encode(), self._cloud.api_key.encode())


def create_app(cloud: Cloud) -> ASGIApp:
    """Return the application that serves a cloud."""
    unsupported: Counter[str] = Counter()

    async def api_error(_request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, ApiError) else 507 if isinstance(error, StorageError) else 500
        return failure(status, str(error), error.code if isinstance(error, ApiError) else None)

    async def refused_by_the_files(_request: Request, error: Exception) -> Response:
        assert isinstance(error, OSError)  # noqa: S101 - registered for it only
        status = status_of(error)
        if status == 500:
            logger.error("a request failed", exc_info=error)
        return failure(status, error.strerror or str(error))

    async def not_there(request: Request, _error: Exception) -> Response:
        # Any path gets one line in the log, also one with line ends in it.
        shown = "".join(character if character.isprintable() else "?" for character in request.scope["path"])
        name = f"{request.method} {shown}"[:_MAX_SHOWN]
        counted = name if name in unsupported or len(unsupported) < _MAX_UNSUPPORTED else "others"
        unsupported[counted] += 1
        logger.warning("not supported: %s (%d times)", counted, unsupported[counted])
        # The SDK repeats most other requests for minutes, and hides their text.
        return failure(400, f"the local cloud has no {name}; it has {_SUPPORTED}")

    async def failed(_request: Request, error: Exception) -> Response:
        return failure(500, f"the local cloud failed: {type(error).__name__}: {error}")

    app = Starlette(
        routes=_ROUTES,
        exception_handlers={
            ApiError: api_error,
            EmulatorError: api_error,
            OSError: refused_by_the_files,
            404: not_there,
            405: not_there,
            HTTPException: api_error,
            Exception: failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.cloud = cloud
    return Gate(faults.FaultGate(app, cloud), cloud)
