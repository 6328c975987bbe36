from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lightning_native.emulator import LocalCloud


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            # The garbage collector reports sockets of logs and downloads that the SDK does not close.
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture
def sdk(lightning_cloud: LocalCloud) -> Any:
    """The unmodified SDK, imported once the variables point to the local cloud."""
    assert lightning_cloud.url
    import lightning_sdk

    return lightning_sdk


@pytest.fixture
def studio(sdk: Any) -> Iterator[Any]:
    """A running studio of the test's own."""
    studio = sdk.Studio(f"studio-{uuid4().hex[:8]}")
    studio.start()
    yield studio
    studio.delete()
