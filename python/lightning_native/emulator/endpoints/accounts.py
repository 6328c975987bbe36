"""Users, organizations, teamspaces and their members."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER
from lightning_native.emulator.services import accounts, spending
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Organization, Teamspace, User


def teamspace_of(request: Request) -> Teamspace:
    """Return the teamspace that a request's path names; 404 when there is none."""
    teamspace = cloud_of(request).teamspaces.get(request.path_params["project"])
    if teamspace is None:
        raise ApiError(404, f"teamspace {request.path_params['project']} not found")
    return teamspace


def _user(user: User) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "email": f"{user.username}@localhost", "features": {}}


def _organization(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "name": organization.name,
        "displayName": organization.name,
        "preferredCluster": DEFAULT_CLUSTER,
    }


def _project(teamspace: Teamspace) -> dict[str, Any]:
    return {
        "id": teamspace.id,
        "name": teamspace.name,
        "displayName": teamspace.name,
        "ownerId": teamspace.owner_id,
        "ownerType": teamspace.owner_type,
        "createdAt": timestamp(teamspace.created_at),
        "layoutConfig": [],
        "projectSettings": {
            "preferredCluster": DEFAULT_CLUSTER,
            "startStudioOnSpotInstance": False,
            "sameComputeOnResume": False,
            **teamspace.settings,
        },
    }


def _membership(cloud: Cloud, teamspace: Teamspace) -> dict[str, Any]:
    return {
        "projectId": teamspace.id,
        "name": teamspace.name,
        "displayName": teamspace.name,
        "ownerId": teamspace.owner_id,
        "ownerType": teamspace.owner_type,
        "userId": cloud.user.id,
        "creatorId": cloud.user.id,
        "balance": spending.look(cloud).left,
        "roles": [],
        "createdAt": timestamp(teamspace.created_at),
    }


async def _get_user(request: Request) -> Response:
    cloud = cloud_of(request)
    return reply({**_user(cloud.user), "organizations": [_organization(item) for item in cloud.organizations]})


async def _whoami(request: Request) -> Response:
    user = cloud_of(request).user
    return reply({"userId": user.id, "username": user.username, "authType": "AUTH_TYPE_USER"})


async def _search_users(request: Request) -> Response:
    query = request.query_params.get("query", "")
    users = [_user(user) for user in cloud_of(request).users if query in (user.id, user.username)]
    return reply({"users": users, "totalSize": str(len(users))})


async def _list_memberships(request: Request) -> Response:
    cloud = cloud_of(request)
    owner = request.query_params.get("organizationId")
    found = [item for item in cloud.teamspaces if owner in (None, "", item.owner_id)]
    return reply({"memberships": [_membership(cloud, teamspace) for teamspace in found]})


async def _list_members(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    member = {
        **_membership(cloud, teamspace),
        **_user(cloud.user),
        "email": f"{cloud.user.username}@localhost",
    }
    return reply({"memberships": [member]})


async def _list_organizations(request: Request) -> Response:
    return reply({"organizations": [_organization(item) for item in cloud_of(request).organizations]})


async def _get_organization(request: Request) -> Response:
    key, name = request.path_params["id"], request.query_params.get("name")
    for organization in cloud_of(request).organizations:
        if organization.id == key or (not key and organization.name == name):
            return reply(_organization(organization))
    raise ApiError(404, f"organization {key or name} not found")


async def _get_project(request: Request) -> Response:
    return reply(_project(teamspace_of(request)))


async def _create_project(request: Request) -> Response:
    cloud, body = cloud_of(request), await body_of(request)
    name, organization_id = str(body.get("name") or ""), str(body.get("organizationId") or "")
    return reply(_project(accounts.create_teamspace(cloud, name, organization_id)))


ROUTES = [
    Route("/v1/auth/user", _get_user),
    Route("/v1/auth/whoami", _whoami),
    Route("/v1/users/search", _search_users),
    Route("/v1/memberships", _list_memberships),
    Route("/v1/orgs", _list_organizations),
    Route("/v1/orgs/{id:path}", _get_organization),
    Route("/v1/projects", _create_project, methods=["POST"]),
    Route("/v1/projects/{project}", _get_project),
    Route("/v1/projects/{project}/memberships", _list_members),
]
