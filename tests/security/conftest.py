from collections.abc import Iterator
from pathlib import Path

import pytest
from watched_place import WatchedPlace, watched_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[WatchedPlace]:
    """A user's computer that is watched for secrets."""
    with watched_place(tmp_path) as place:
        yield place
