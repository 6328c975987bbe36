"""Secrets of the user and of teamspaces: written, never read back; code has them as variables."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import secret_store
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import GENERIC_SECRET, Secret


def _scope(request: Request) -> str:
    return teamspace_of(request).id if "project" in request.path_params else ""


def to_api(cloud: Cloud, secret: Secret) -> dict[str, Any]:
    """Return a secret as the API shows it, without its value."""
    return {
        "id": secret.id,
        "name": secret.name,
        "type": secret.kind,
        "projectId": secret.teamspace_id,
        "userId": cloud.user.id,
        "createdAt": timestamp(secret.created_at),
        "updatedAt": timestamp(secret.created_at),
    }


def _secret_of(request: Request) -> Secret:
    secret = cloud_of(request).secrets.get(request.path_params["secret"])
    if secret is None or secret.teamspace_id != _scope(request):
        raise ApiError(404, f"secret {request.path_params['secret']} not found")
    return secret


async def _list(request: Request) -> Response:
    cloud, scope, kind = cloud_of(request), _scope(request), request.query_params.get("type")
    found = [item for item in cloud.secrets if item.teamspace_id == scope and kind in (None, "", item.kind)]
    return reply({"secrets": [to_api(cloud, item) for item in found]})


async def _create(request: Request) -> Response:
    cloud, scope, body = cloud_of(request), _scope(request), await body_of(request)
    name, value = str(body.get("name") or ""), str(body.get("value") or "")
    secret = secret_store.put(cloud, scope, name, str(body.get("type") or GENERIC_SECRET), value)
    return reply(to_api(cloud, secret))


async def _update(request: Request) -> Response:
    cloud, secret, body = cloud_of(request), _secret_of(request), await body_of(request)
    secret_store.replace(cloud, secret, str(body.get("value") or ""))
    return reply(to_api(cloud, secret))


async def _delete(request: Request) -> Response:
    cloud_of(request).secrets.delete(_secret_of(request).id)
    return reply({})


def _routes(prefix: str) -> list[Route]:
    return [
        Route(prefix, _list),
        Route(prefix, _create, methods=["POST"]),
        Route(prefix + "/{secret}", _update, methods=["PUT"]),
        Route(prefix + "/{secret}", _delete, methods=["DELETE"]),
    ]


ROUTES = [*_routes("/v1/secrets"), *_routes("/v1/projects/{project}/secrets")]
