"""The variables of a process in a strict machine: the platform's, and this computer's about its package index."""

import os
import re

from lightning_native.emulator.host.namespaces import HOME
from lightning_native.emulator.host.package_index import INDEX_VARIABLES
from lightning_native.emulator.strict import file_system, network

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOOPBACK = re.compile(r"(?<=[/@])(127\.0\.0\.1|localhost)(?=[:/]|$)")


def base_variables(*, index: bool, has_network: bool, container: bool) -> dict[str, str]:
    """Return the variables of any process in a machine, without those of its account."""
    variables = {
        **(_index(has_network) if index else {}),
        "HOME": HOME,
        "PWD": HOME,
        "SHELL": "/bin/bash",
        "USER": file_system.USER,
        "LANG": "C.UTF-8",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if container:
        return {**variables, "PATH": _SYSTEM_PATH}
    return {
        **variables,
        "PATH": f"{file_system.COMMANDS}:{_SYSTEM_PATH}",
        "PIP_CACHE_DIR": f"{file_system.UV}/pip",
        "UV_CACHE_DIR": f"{file_system.UV}/cache",
        "UV_LIGHTNING_VIRTUALENV_ROOT": f"{file_system.UV}/venvs",
        # The cache and the environments are on different file systems.
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_INSTALL_DIR": f"{file_system.UV}/python",
    }


def _index(has_network: bool) -> dict[str, str]:
    found = {name: os.environ[name] for name in INDEX_VARIABLES if name in os.environ}
    if not has_network:
        return found
    moved = {name: _LOOPBACK.sub(network.HOST, value) for name, value in found.items()}
    if moved != found:
        # Installers trust an index without TLS only on this computer, by its name.
        moved["PIP_TRUSTED_HOST"] = f"{moved.get('PIP_TRUSTED_HOST', '')} {network.HOST}".strip()
    return moved
