"""A user of its own for each process that runs tests."""

import os
import signal
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell starts background commands with SIGINT ignored, and nohup ignores SIGHUP, which all processes that tests send
# these to would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The processes of one test run inherit the day, so that all of them have the same tests at midnight.
DAY = int(os.environ.setdefault("SPREAD_DAY", str(int(time.time() // 86_400))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those of the tests marked `spread(days)` that are another day's, where SPREAD is `day`."""
    if os.environ.get("SPREAD") != "day":
        return
    numbers: Counter[Path] = Counter()
    others = set()
    for item in items:
        if mark := item.get_closest_marker("spread"):
            # Counted in each file by itself, so that a new test changes the days of no other file's.
            begin = zlib.crc32(item.path.name.encode())
            if (begin + numbers[item.path] + DAY) % mark.args[0]:
                others.add(item)
            numbers[item.path] += 1
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the files of the SDK, ZenML, git and this package apart from those of other processes and the developer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("user")))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "LIGHTNING_NATIVE_HOME", "ZENML_CONFIG_PATH"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _sdk_is_the_sessions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that imports the SDK for another cloud, because all later tests of this process would have that."""
    module = "lightning_sdk.lightning_cloud.env"
    was_there = module in sys.modules
    yield
    if module in sys.modules and not was_there:
        assert "lightning_cloud" in request.fixturenames, "use another process for another cloud than the session's"
