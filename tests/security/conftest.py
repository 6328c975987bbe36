from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.watched_place import WatchedPlace, watched_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[WatchedPlace]:
    """A user's computer that is watched for secrets."""
    # Five minutes of a schedule pass in five seconds.
    with watched_place(tmp_path, clock_rate=60) as place:
        yield place
