"""The variables of a process in strict mode: the platform's, and of this computer's what names the package index."""

import os
import re

from lightning_native.emulator import machine_network, machine_plan
from lightning_native.emulator.machines import CLUSTERS
from lightning_native.emulator.namespaces import HOME
from lightning_native.emulator.records import Studio

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Each may name the address of a package index, or how one is reached.
_INDEX = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
)
_LOOPBACK = re.compile(r"(?<=[/@])(127\.0\.0\.1|localhost)(?=[:/]|$)")


def base_variables(*, index: bool, has_network: bool, container: bool) -> dict[str, str]:
    """Return the variables of any process in a machine, without those of its account."""
    variables = {
        **(_index(has_network) if index else {}),
        "HOME": HOME,
        "PWD": HOME,
        "SHELL": "/bin/bash",
        "USER": machine_plan.USER,
        "LANG": "C.UTF-8",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if container:
        return {**variables, "PATH": _SYSTEM_PATH}
    return {
        **variables,
        "PATH": f"{machine_plan.COMMANDS}:{_SYSTEM_PATH}",
        "PIP_CACHE_DIR": f"{machine_plan.UV}/pip",
        "UV_CACHE_DIR": f"{machine_plan.UV}/cache",
        "UV_LIGHTNING_VIRTUALENV_ROOT": f"{machine_plan.UV}/venvs",
        # The cache is on another file system than environments.
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_INSTALL_DIR": f"{machine_plan.UV}/python",
    }


def studio_variables(studio: Studio) -> dict[str, str]:
    """Return the variables by which code in a studio and its jobs knows the studio."""
    return {
        "LIGHTNING_CLOUDSPACE_HOST": f"{studio.id}.cloudspaces.localhost",
        "LIGHTNING_CLOUD_PROVIDER": CLUSTERS[studio.cluster_id][0].lower(),
    }


def _index(has_network: bool) -> dict[str, str]:
    found = {name: os.environ[name] for name in _INDEX if name in os.environ}
    if not has_network:
        return found
    moved = {name: _LOOPBACK.sub(machine_network.HOST, value) for name, value in found.items()}
    if moved != found:
        # Installers trust an index without TLS on this computer only, by its name.
        moved["PIP_TRUSTED_HOST"] = f"{moved.get('PIP_TRUSTED_HOST', '')} {machine_network.HOST}".strip()
    return moved
