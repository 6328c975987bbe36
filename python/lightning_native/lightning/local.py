"""The variables of a process that reaches one cloud: Lightning AI, or the local one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lightning_native.emulator.client.attach import attach, default_root, is_strict
from lightning_native.emulator.client.local_cloud import LocalCloud
from lightning_native.emulator.host.keep_alive import keeping
from lightning_native.lightning.sdk.internals import silence_keep_alives

__all__ = ["attach", "cloud_environ", "default_root", "keeping", "own_cloud", "with_variables"]

# Variables of an account that the local cloud does not know. The SDK would ask it for the organization, and would
# prefer the token to the local cloud's key.
_ACCOUNT = ("LIGHTNING_ORG", "LIGHTNING_CLUSTER_ID", "LIGHTNING_AUTH_TOKEN")


@contextmanager
def cloud_environ(local_cloud: Path | None) -> Iterator[dict[str, str]]:
    """Set this process's variables to those of a cloud for the length of the block, and yield them.

    Args:
        local_cloud: root of the local cloud, which runs meanwhile; None: the variables stay as they are.
    """
    if local_cloud is None:
        yield {}
        return
    with attach(local_cloud) as environ, with_variables({**dict.fromkeys(_ACCOUNT), **environ}):
        yield environ


@contextmanager
def own_cloud(*, profile: str, clock_rate: float) -> Iterator[LocalCloud]:
    """Run a local cloud that nobody shares for the length of the block, with this process's variables set to it."""
    with (
        LocalCloud(profile=profile, clock_rate=clock_rate, strict=is_strict()) as cloud,
        with_variables({**dict.fromkeys(_ACCOUNT), **cloud.environ}),
    ):
        try:
            yield cloud
        finally:
            silence_keep_alives()


@contextmanager
def with_variables(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of this process for the length of the block; a value of None unsets one."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
