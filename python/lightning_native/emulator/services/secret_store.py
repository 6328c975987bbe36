"""Secrets of the user and of teamspaces: written, never read back; code has them as variables."""

import re

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services.variables import check_variable
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Secret
from lightning_native.emulator.state.store import new_id

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def put(cloud: Cloud, teamspace_id: str, name: str, kind: str, value: str) -> Secret:
    """Create a secret of a teamspace or, without one, of the user; one of the same name and kind gets the value."""
    if not _NAME.fullmatch(name):
        raise ApiError(400, f"{name!r} is no name for a secret: letters, digits and _, no digit first")
    check_variable(name, value)
    same = [item for item in cloud.secrets if (item.teamspace_id, item.name, item.kind) == (teamspace_id, name, kind)]
    # One secret for each name, because the request may arrive twice.
    secret = same[0] if same else Secret(new_id(), teamspace_id, name, kind, "", cloud.clock.now())
    replace(cloud, secret, value)
    return secret


def replace(cloud: Cloud, secret: Secret, value: str) -> None:
    """Give a secret another value, and remove the former one from the disk."""
    check_variable(secret.name, value)
    secret.value = value
    cloud.secrets.save(secret)
    cloud.secrets.forget()
