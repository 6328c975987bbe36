"""Teamspaces, which the user and organizations own."""

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Teamspace
from lightning_native.emulator.state.store import new_id


def create_teamspace(cloud: Cloud, name: str, organization_id: str) -> Teamspace:
    """Create a teamspace of an organization or, without one, of the user."""
    name = check_name(name)
    organization = cloud.organizations.get(organization_id)
    if organization_id and organization is None:
        raise ApiError(404, f"organization {organization_id} not found")
    owner, kind = (organization.id, "organization") if organization else (cloud.user.id, "user")
    if any(item.name == name and item.owner_id == owner for item in cloud.teamspaces):
        raise ApiError(400, f"there is a teamspace {name!r} already")
    return cloud.teamspaces.save(Teamspace(new_id(), name, owner, kind, cloud.clock.now()))
