"""Processes of ours with the credentials among their variables, where the SDK reads them; no other process has them."""

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from lightning_native.child_process import python_module
from lightning_native.errors import CloudError
from lightning_native.lightning.machine_python import ENV_MACHINE_PYTHON
from lightning_native.terminal import one_line

# Of a local cloud whose variables the user has exported.
_CLOCK_RATE = "LIGHTNING_NATIVE_CLOCK_RATE"


def controller_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process that calls Lightning: ours without credentials, and `environ` with them."""
    kept = (
        "LIGHTNING_CLOUD_URL",
        "LIGHTNING_CREDENTIAL_PATH",
        "LIGHTNING_NATIVE_HOME",
        ENV_MACHINE_PYTHON,
        _CLOCK_RATE,
    )
    ours = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("LIGHTNING_")}
    return {**ours, **environ}


def start(module: str, *arguments: str, environ: Mapping[str, str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a module of ours with the credentials in `environ`; `options` are those of `subprocess.Popen`."""
    return subprocess.Popen(python_module(module, *arguments), env=controller_environment(environ), **options)


def run(module: str, *arguments: str, environ: Mapping[str, str], timeout: float | None = None) -> str:
    """Run a module of ours to its end with the credentials in `environ`, and return its output.

    Raises:
        CloudError: the module failed, with the last line of its errors, or took longer than `timeout` seconds.
    """
    with start(
        module, *arguments, environ=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise CloudError(f"Lightning has not answered within {timeout:g} s") from error
        finally:
            process.kill()
    if process.returncode != 0:
        raise CloudError(one_line((errors.strip().splitlines() or ["no reason"])[-1]).removeprefix("error: "))
    return str(output)
