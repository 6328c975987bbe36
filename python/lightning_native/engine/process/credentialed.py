"""Processes of ours that have the credentials in their environment, as the SDK reads them, and no other has."""

import os
from collections.abc import Mapping

from lightning_native.lightning.machine_python import ENV_MACHINE_PYTHON


def controller_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that talks to Lightning: ours, and `environ` for our credentials."""
    kept = ("LIGHTNING_CLOUD_URL", "LIGHTNING_CREDENTIAL_PATH", "LIGHTNING_NATIVE_HOME", ENV_MACHINE_PYTHON)
    ours = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("LIGHTNING_")}
    return {**ours, **environ}
