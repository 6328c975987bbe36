"""The environment variables of code in studios and jobs."""

import os
import sysconfig
from pathlib import Path

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.cloud_accounts import CLUSTERS
from lightning_native.emulator.host import namespaces, processes
from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.emulator.host.package_index import INDEX_VARIABLES
from lightning_native.emulator.host.proxies import without_proxy
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import GENERIC_SECRET, Job, Studio
from lightning_native.emulator.strict import variables

# The only variables of the server that commands see: they describe this computer and its way to packages.
_PASSED_ON = (
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    *INDEX_VARIABLES,
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_NO_INDEX",
    "UV_OFFLINE",
)
# Every command begins at home, with the user's commands for the start of a studio.
STUDIORC = ".lightning_studio/.studiorc"
ENTER_HOME = f"cd && if [ -f {STUDIORC} ]; then . ./{STUDIORC}; fi"
# A container knows its account, but has no credentials.
_OF_CONTAINERS = ("LIGHTNING_CLOUD_URL", "LIGHTNING_USERNAME", "LIGHTNING_CLOUD_PROJECT_ID")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_variables(cloud: Cloud, *, home: str, environment: Path, marker: str) -> dict[str, str]:
    """Return the variables of any process that runs in the cloud, without credentials."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    cache = cloud.root / "cache"
    path = [str(environment / "bin"), sysconfig.get_path("scripts"), os.environ.get("PATH", _DEFAULT_PATH)]
    return {
        **passed,
        **without_proxy(passed),
        "PATH": os.pathsep.join(path),
        "HOME": home,
        "PWD": home,
        "SHELL": "/bin/bash",
        "USER": os.environ.get("USER", "lightning"),
        "VIRTUAL_ENV": str(environment),
        # All studios of a cloud share their downloads.
        "UV_CACHE_DIR": str(cache / "uv"),
        "PIP_CACHE_DIR": str(cache / "pip"),
        # The output of Python code reaches the log at once.
        "PYTHONUNBUFFERED": "1",
        processes.MARKER: marker,
    }


def command_variables(cloud: Cloud, studio: Studio, namespace: Namespace | None) -> dict[str, str]:
    """Return the variables of a command in a studio."""
    home = namespaces.HOME if namespace else str(cloud.studio_home(studio))
    base = base_variables(cloud, home=home, environment=cloud.studio_environment(studio), marker=studio.marker)
    if cloud.strict is not None:
        base = _strict(cloud, namespace, studio.marker)
    if cloud.strict is None and cloud.setting_up(studio).exists():
        base["PATH"] = f"{cloud.aliases(studio)}{os.pathsep}{base['PATH']}"
    return {
        **base,
        **_secrets(cloud, studio.teamspace_id, studio),
        **_account(cloud, studio.teamspace_id, namespace),
        **_studio(studio),
        "LIGHTNING_INTERACTIVE": "true",
    }


def job_variables(
    cloud: Cloud, job: Job, namespace: Namespace | None, *, directory: Path, environment: Path
) -> dict[str, str]:
    """Return the variables of a job's command."""
    home = namespaces.HOME if namespace else str(directory)
    base = base_variables(cloud, home=home, environment=environment, marker=job.marker)
    studio = cloud.studios.get(job.specification.get("cloudspaceId") or "")
    given = job.specification.get("env") or []
    if cloud.strict is not None:
        base = _strict(cloud, namespace, job.marker, container=studio is None)
    account = _account(cloud, job.teamspace_id, namespace)
    return {
        **base,
        **_secrets(cloud, job.teamspace_id, studio),
        **({**account, **_studio(studio)} if studio else {name: account[name] for name in _OF_CONTAINERS}),
        "LIGHTNING_ARTIFACTS_DIR": home,
        "LIGHTNING_JOB_ID": job.id,
        "LIGHTNING_JOB_NAME": job.name,
        **job.extra_env,
        **{str(item["name"]): str(item.get("value") or "") for item in given if item.get("name")},
    }


def secret_variables(cloud: Cloud, teamspace_id: str) -> dict[str, str]:
    """Return the secrets for code in a teamspace; those of the teamspace override the user's."""
    found = [secret for secret in cloud.secrets if secret.kind == GENERIC_SECRET]
    user = {secret.name: secret.value for secret in found if not secret.teamspace_id}
    return user | {secret.name: secret.value for secret in found if secret.teamspace_id == teamspace_id}


def _secrets(cloud: Cloud, teamspace_id: str, studio: Studio | None) -> dict[str, str]:
    if studio is not None and studio.recorded.get("disableSecrets"):
        return {}
    return secret_variables(cloud, teamspace_id)


def _strict(cloud: Cloud, namespace: Namespace | None, marker: str, *, container: bool = False) -> dict[str, str]:
    has_network = namespace is not None and namespace.has_network
    base = variables.base_variables(index=cloud.settings.index, has_network=has_network, container=container)
    return {**base, processes.MARKER: marker}


def _account(cloud: Cloud, teamspace_id: str, namespace: Namespace | None) -> dict[str, str]:
    teamspace = cloud.teamspaces.get(teamspace_id)
    organization = cloud.organizations.get(teamspace.owner_id) if teamspace else None
    return {
        **cloud.environ,
        "LIGHTNING_CLOUD_URL": cloud.address_in(namespace),
        "LIGHTNING_TEAMSPACE": teamspace.name if teamspace else "",
        "LIGHTNING_CLOUD_PROJECT_ID": teamspace_id,
        **({"LIGHTNING_ORG": organization.name} if organization else {}),
    }


def _studio(studio: Studio) -> dict[str, str]:
    return {
        "LIGHTNING_CLOUD_SPACE_ID": studio.id,
        "LIGHTNING_CLUSTER_ID": studio.cluster_id,
        "LIGHTNING_CLOUDSPACE_HOST": f"{studio.id}.cloudspaces.localhost",
        "LIGHTNING_CLOUD_PROVIDER": CLUSTERS[studio.cluster_id][0].lower(),
        **{item["name"]: item["value"] for item in studio.env},
    }


def check_variable(name: str, value: str) -> None:
    """Raise unless a process can have this environment variable."""
    if not name or "=" in name or "\0" in name:
        raise ApiError(400, f"{name[:50]!r} is no name for a variable")
    if "\0" in value:
        raise ApiError(400, f"the value of the variable {name!r} has a NUL")
