"""A user's place for the commands: a home, a local cloud that the tests of a module share, and a folder of code."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.bench import Bench
from tests.support.runner import runner

from lightning_native.lightning.local import attach

__all__ = ["runner"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("home")
    with attach(home / "cloud") as environ:
        yield home, environ


@pytest.fixture
def bench(cloud: tuple[Path, dict[str, str]], tmp_path: Path) -> Bench:
    home, environ = cloud
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    return Bench({**clean, "LIGHTNING_NATIVE_HOME": str(home), "USER": "alice"}, environ, tmp_path)
