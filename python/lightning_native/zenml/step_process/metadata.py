"""The place where this process runs its step, as ZenML shows it."""

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from zenml.constants import METADATA_ORCHESTRATOR_URL
from zenml.metadata.metadata_types import Uri

from lightning_native.zenml.variables import ENV_JOB_NAME, ENV_STEP_URL, ENV_TEAMSPACE_URL

if TYPE_CHECKING:
    from zenml.metadata.metadata_types import MetadataType


def step_run_metadata() -> "dict[str, MetadataType]":
    """Return the metadata of the step that this process runs."""
    if ENV_TEAMSPACE_URL in os.environ and ENV_JOB_NAME in os.environ:
        url = job_url(os.environ[ENV_TEAMSPACE_URL], os.environ[ENV_JOB_NAME])
    else:
        url = os.environ.get(ENV_STEP_URL, "")
    return {METADATA_ORCHESTRATOR_URL: Uri(url)} if url else {}


def job_url(teamspace: str, name: str) -> str:
    """Return the address of a job in the teamspace of an address."""
    return f"{teamspace}/jobs/{quote(name)}?app_id=jobs"
