"""A pytest plugin: the fixture `lightning_cloud`, one local cloud for the whole session.

The variables of the SDK are set for as long as the cloud runs, before a test imports the SDK for the first time.
"""

import os
from collections.abc import Iterator

import pytest

from lightning_native.emulator.client.local_cloud import LocalCloud


@pytest.fixture(scope="session")
def lightning_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Run a local cloud and set the environment variables with which the SDK reaches it."""
    with LocalCloud(tmp_path_factory.mktemp("lightning-cloud")) as cloud, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIGHTNING_")]:
            patch.delenv(name)
        for name, value in cloud.environ.items():
            patch.setenv(name, value)
        yield cloud
