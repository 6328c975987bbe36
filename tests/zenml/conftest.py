"""One ZenML configuration with a stack on the local cloud, shared by the tests of this folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import Workbench
from zenml.utils.source_utils import set_custom_source_root

from lightning_native.emulator.attach import attach

SETUP = "from lightning_native.zenml.stack import register_local_stack; register_local_stack('local-cloud')"


@pytest.fixture(scope="session", autouse=True)
def source_root() -> None:
    """One of several processes of pytest has no main module for ZenML to find the user's code by."""
    set_custom_source_root(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    folder = tmp_path_factory.mktemp("zenml")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))},
        "LIGHTNING_NATIVE_HOME": str(folder / "home"),
        "ZENML_CONFIG_PATH": str(folder / "config"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # `python -c` has no main module for ZenML to find the user's code by.
    rooted = {**environment, "ZENML_CUSTOM_SOURCE_ROOT": str(folder)}
    subprocess.run([sys.executable, "-c", SETUP], env=rooted, check=True, capture_output=True)
    # Held for the whole session, so that not every run starts and ends the local cloud.
    with attach(folder / "home" / "cloud") as cloud_environment:
        yield environment, cloud_environment


@pytest.fixture
def workbench(zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path) -> Workbench:
    environment, cloud_environment = zenml_home
    return Workbench(environment, cloud_environment, tmp_path)
