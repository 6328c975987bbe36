"""Each process that runs tests is a user of its own."""

import signal
from collections.abc import Iterator

import pytest

# A shell starts what runs in its background deaf to Ctrl-C, and so would be all that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the SDK, ZenML, git and we keep for a user is shared with no other process and not that of who runs this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("user")))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "LIGHTNING_NATIVE_HOME", "ZENML_CONFIG_PATH"):
            patch.delenv(name, raising=False)
        yield
