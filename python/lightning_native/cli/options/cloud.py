"""The cloud that a command means, and the credentials for it."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.errors import CredentialsError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import cloud_environ, default_root, with_variables


def add_cloud_option(*parsers: argparse.ArgumentParser, about: str = "on the local cloud") -> None:
    """Declare the option for a command, or for those of its actions that reach a cloud."""
    for parser in parsers:
        parser.add_argument("--local", action="store_true", help=f"{about} instead of Lightning AI")


@contextmanager
def chosen_cloud(*, local: bool) -> Iterator[None]:
    """Set this process's variables to those of the cloud that the command line names.

    Raises:
        CredentialsError: it is Lightning AI, and credentials are missing.
        EmulatorError: the local cloud cannot be started.
    """
    if not local:
        # Also for commands that only read the journal: without owner and teamspace they would find nothing there.
        Credentials.from_environment(os.environ).environ()
    with cloud_environ(default_root() if local else None):
        yield


@contextmanager
def credentials_of_run(component: str | None) -> Iterator[dict[str, str]]:
    """Yield the variables with which the process of a run signs in to Lightning, set in this process meanwhile.

    They are this process's own, or else those of the ZenML component with which the run was submitted.

    Args:
        component: ZenML's id of the component; None: the run has none.

    Raises:
        CredentialsError: both are missing.
    """
    try:
        environ = Credentials.from_environment(os.environ).environ()
    except CredentialsError:
        if component is None:
            raise
    else:
        yield environ
        return
    from lightning_native.zenml.access import component_variables

    with component_variables(component) as environ, with_variables(environ):
        yield environ
