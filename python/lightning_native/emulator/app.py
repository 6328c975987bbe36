"""The web application: who is let in, which endpoint answers, and what is not there."""

import base64
import binascii
import hmac
import logging
from collections import Counter

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lightning_native.emulator import (
    accounts,
    artifacts,
    commands,
    documents,
    fault_gate,
    history,
    jobs,
    logs,
    machines,
    multi_machine,
    page,
    pipelines,
    schedules,
    secret_store,
    studio_endpoints,
    tags,
)
from lightning_native.emulator.api import ApiError, failure
from lightning_native.emulator.cloud import Cloud
from lightning_native.emulator.state import StorageError
from lightning_native.errors import EmulatorError

logger = logging.getLogger("lightning_native.emulator")

_ROUTES = [
    *accounts.ROUTES,
    *machines.ROUTES,
    *studio_endpoints.ROUTES,
    *commands.ROUTES,
    *artifacts.ROUTES,
    *jobs.ROUTES,
    *multi_machine.ROUTES,
    *logs.ROUTES,
    *tags.ROUTES,
    *pipelines.ROUTES,
    *schedules.ROUTES,
    *secret_store.ROUTES,
    *documents.ROUTES,
    *fault_gate.ROUTES,
    *history.ROUTES,
    *page.ROUTES,
]
_SUPPORTED = "studios, jobs, pipelines, schedules, files, secrets, machines, teamspaces, users and organizations"


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
        headers = Headers(scope=scope)
        response = None
        # A page of another site that resolves its own name to this computer must not reach the server.
        if headers.get("host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            response = failure(400, "this server answers only for 127.0.0.1 and localhost")
        elif not self._may_pass(scope["path"], headers):
            refused = failure(401, "the API key is missing or wrong")
            response = page.login_form() if page.is_page(scope["path"]) else refused
        if response is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(1008)(scope, receive, send)
        else:
            await response(scope, receive, send)

    def _may_pass(self, path: str, headers: Headers) -> bool:
        # Addresses below /storage/ are signed, and the form that asks for the key must be sent without it.
        if path.startswith("/storage/") or path == "/login" or self._is_key(headers.get("authorization", "")):
            return True
        cookies = cookie_parser(headers.get("cookie", ""))
        return page.is_page(path) and hmac.compare_digest(cookies.get(page.COOKIE, ""), page.session_of(self._cloud))

    def _is_key(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic":
            try:
                value = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
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
        return failure(status, str(error))

    async def not_there(request: Request, _error: Exception) -> Response:
        name = f"{request.method} {request.url.path}"
        unsupported[name] += 1
        logger.warning("not supported: %s (%d times)", name, unsupported[name])
        return failure(501, f"the local cloud has no {name}; it has {_SUPPORTED}")

    async def failed(_request: Request, error: Exception) -> Response:
        return failure(500, f"the local cloud failed: {type(error).__name__}: {error}")

    app = Starlette(
        routes=_ROUTES,
        exception_handlers={
            ApiError: api_error,
            EmulatorError: api_error,
            404: not_there,
            405: not_there,
            HTTPException: api_error,
            Exception: failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.cloud = cloud
    return Gate(fault_gate.FaultGate(app, cloud), cloud)
