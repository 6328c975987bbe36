"""`--local`: the cloud that a command means."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import cloud_environ, default_root


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
