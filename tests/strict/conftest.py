"""One strict local cloud, one ZenML server and one artifact store for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.abroad import abroad
from tests.support.workbench import Workbench

from lightning_native.emulator import LocalCloud

# The Python of Lightning's machines in 2026, whatever the Python of the tests.
PYTHON = "3.12"


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(
        tmp_path_factory.mktemp("cloud"), strict=True, python=PYTHON, preinstalled=(), profile="platform", clock_rate=60
    ) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def user(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with abroad(cloud, tmp_path_factory.mktemp("user")) as environment:
        yield environment


@pytest.fixture
def workbench(user: dict[str, str], cloud: LocalCloud, tmp_path: Path) -> Workbench:
    return Workbench(user, dict(cloud.environ), tmp_path)
