"""The way from ZenML's process to a cloud: Lightning with the credentials of a stack component, or the local cloud."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from lightning_native.errors import CredentialsError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import attach, default_root
from lightning_native.zenml.config import LightningNativeStepSettings, configured_settings
from lightning_native.zenml.variables import ENV_ON_LOCAL_CLOUD

if TYPE_CHECKING:
    from zenml.stack import StackComponent


def local_cloud_root(settings: LightningNativeStepSettings) -> Path | None:
    """Return the root of the local cloud that a process attaches to; None: it signs in with variables.

    A process signs in on Lightning, and on a machine of the local cloud itself.
    """
    return default_root() if settings.cloud == "local" and ENV_ON_LOCAL_CLOUD not in os.environ else None


def credentials_of(component: "StackComponent", settings: LightningNativeStepSettings) -> dict[str, str]:
    """Return the variables with which the SDK signs in, from the settings or else this process's environment.

    Raises:
        CredentialsError: names what is missing and where to set it.
    """
    own = Credentials.from_environment(os.environ)
    if settings.cloud == "local":
        # The machine's own: the configured ones are for Lightning.
        return own.environ() | {name: os.environ[name] for name in ("LIGHTNING_CLOUD_URL",) if name in os.environ}
    credentials = Credentials(
        user_id=settings.user_id,
        api_key=settings.api_key,
        username=settings.username,
        organization=settings.organization,
        teamspace=settings.teamspace,
    ).or_else(own)
    kind = component.type.value.replace("_", "-")
    return credentials.environ(settings=f"the {kind} (zenml {kind} update {component.name} --api_key=… )")


@contextmanager
def cloud_variables(component: "StackComponent", settings: LightningNativeStepSettings) -> Iterator[dict[str, str]]:
    """Yield the variables with which a process of ours reaches Lightning; the local cloud runs meanwhile."""
    root = local_cloud_root(settings)
    if root is not None:
        with attach(root) as environ:
            yield environ
    else:
        yield credentials_of(component, settings)


@contextmanager
def component_variables(component_id: str) -> Iterator[dict[str, str]]:
    """Yield what `cloud_variables` does, for an orchestrator or step operator by its id.

    Raises:
        CredentialsError: credentials are missing, or the component is.
    """
    from zenml.client import Client
    from zenml.stack import StackComponent

    try:
        component = StackComponent.from_model(Client().zen_store.get_stack_component(UUID(component_id)))
    except KeyError as error:
        raise CredentialsError(
            f"the ZenML component {component_id}, whose credentials the run had, is no more; set LIGHTNING_API_KEY, "
            "LIGHTNING_USER_ID, LIGHTNING_TEAMSPACE, and LIGHTNING_USERNAME or LIGHTNING_ORG"
        ) from error
    with cloud_variables(component, configured_settings(component)) as environ:
        yield environ
