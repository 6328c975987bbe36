"""A user of its own for each process that runs tests."""

import signal
from collections.abc import Iterator

import pytest

# A shell starts background commands with SIGINT ignored, which all processes that tests interrupt would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the files of the SDK, ZenML, git and this package apart from those of other processes and the developer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("user")))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "LIGHTNING_NATIVE_HOME", "ZENML_CONFIG_PATH"):
            patch.delenv(name, raising=False)
        yield
