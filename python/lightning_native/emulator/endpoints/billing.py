"""The balance of the account, as its users, organizations and teamspaces show it: they share one account."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, reply
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import spending


def _balance(request: Request, **fields: Any) -> Response:
    cloud = cloud_of(request)
    return reply({"accountId": cloud.user.id, "balance": spending.look(cloud).left, "transactions": [], **fields})


async def _of_user(request: Request) -> Response:
    return _balance(request, totalSpent=spending.look(cloud_of(request)).spent)


async def _of_account(request: Request) -> Response:
    return reply({"balance": spending.look(cloud_of(request)).left})


async def _of_organization(request: Request) -> Response:
    return _balance(request)


async def _of_project(request: Request) -> Response:
    return _balance(request, projectId=teamspace_of(request).id)


async def _subscription(request: Request) -> Response:
    profile = cloud_of(request).settings.profile
    return reply({"name": "Free" if profile.max_studios or profile.max_gpus else "Pro", "status": "active"})


ROUTES = [
    Route("/v1/billing/subscription", _subscription),
    Route("/v1/users/billing/balance", _of_user),
    Route("/v1/billing/account-balance", _of_account),
    Route("/v1/orgs/{id}/billing/balance", _of_organization),
    Route("/v1/projects/{project}/billing/balance", _of_project),
]
