"""One ZenML configuration with a stack on the local cloud, shared by the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.servers.zenml_server import serve_zenml
from tests.support.workbench import Workbench, new_zenml
from zenml.utils.source_utils import set_custom_source_root

from lightning_native.lightning.local import attach


@pytest.fixture(scope="session", autouse=True)
def source_root() -> None:
    """Set the root of the user's code, because workers of pytest have no main module by which ZenML finds it."""
    set_custom_source_root(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    folder = tmp_path_factory.mktemp("zenml")
    environment = new_zenml(folder)
    # One local cloud for the whole session, so that runs do not start and end one each.
    with attach(folder / "home" / "cloud") as cloud_environment:
        yield environment, cloud_environment


@pytest.fixture
def workbench(zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path) -> Workbench:
    environment, cloud_environment = zenml_home
    return Workbench(environment, cloud_environment, tmp_path)


@pytest.fixture
def server(zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a ZenML server, and yield the variables of its user."""
    with serve_zenml(zenml_home[0], tmp_path) as user:
        yield user
