"""The variables of a step's process."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.constants import ENV_ZENML_CUSTOM_SOURCE_ROOT, ENV_ZENML_LOCAL_STORES_PATH
from zenml.enums import StoreType

from lightning_native.engine.placements import address_of
from lightning_native.engine.plan import RunPlan
from lightning_native.zenml.compiler.docker_settings import image_variables
from lightning_native.zenml.config import LightningNativeStepSettings
from lightning_native.zenml.publish.metadata import step_urls, teamspace_url
from lightning_native.zenml.variables import (
    ENV_INTERRUPTIBLE,
    ENV_MACHINES,
    ENV_ON_LOCAL_CLOUD,
    ENV_PACKAGING,
    ENV_STEP_URL,
    ENV_TEAMSPACE_URL,
    ENV_VERBOSE,
    ENV_WARM_STEPS,
)

if TYPE_CHECKING:
    from zenml.config import DockerSettings


def command_variables(
    docker: "DockerSettings", given: Mapping[str, str], settings: LightningNativeStepSettings
) -> dict[str, str]:
    """Return the variables that any command of ZenML needs on Lightning.

    Args:
        docker: its variables are those that an image would set.
        given: ZenML's own, which have precedence over those of an image.
        settings: of the run.
    """
    ours = {ENV_ZENML_CUSTOM_SOURCE_ROOT: ".", ENV_PACKAGING: settings.packaging}
    if verbose := os.environ.get(ENV_VERBOSE):
        ours[ENV_VERBOSE] = verbose
    if settings.cloud == "local":
        ours[ENV_ON_LOCAL_CLOUD] = "1"
        if _has_local_data():
            # Studios of the local cloud share it, wherever their own configuration is.
            ours[ENV_ZENML_LOCAL_STORES_PATH] = GlobalConfiguration().local_stores_path
    return {**image_variables(docker), **given, **ours}


def _has_local_data() -> bool:
    """Return whether ZenML keeps data in this computer's files, and not on a server and in a remote artifact store."""
    client = Client()
    return client.zen_store.type == StoreType.SQL or client.active_stack.artifact_store.config.is_local


def place_variables(plan: RunPlan, step: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables from which a step knows where it runs; `environ` names the teamspace."""
    interruptible = {ENV_INTERRUPTIBLE: "1"} if plan.step(step).interruptible else {}
    machines = plan.step(step).num_machines
    several = {ENV_MACHINES: str(machines)} if machines > 1 else {}
    # Each attempt is another job, whose step knows its name.
    if address_of(plan, step).kind == "job":
        return {ENV_TEAMSPACE_URL: teamspace_url(environ), **interruptible, **several}
    return {ENV_STEP_URL: step_urls(plan, environ)[step], **interruptible}


def warm_variables(plan: RunPlan, step: str, wish: Literal["auto", "off"]) -> dict[str, str]:
    """Return the variables with which steps that share a studio are forked from one process."""
    place = address_of(plan, step)
    shared = [other.name for other in plan.steps if address_of(plan, other.name) == place]
    return {ENV_WARM_STEPS: "1"} if wish == "auto" and place.kind == "studio" and len(shared) > 1 else {}
