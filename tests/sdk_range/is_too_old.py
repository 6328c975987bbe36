"""A check, by exit code, that the engine refuses an SDK that is too old in one line with both versions."""

import sys
from importlib.metadata import version

from lightning_native.errors import LightningNativeError
from lightning_native.lightning.sdk.version import OLDEST
from lightning_native.lightning.session import connect

if __name__ == "__main__":
    try:
        connect()
    except LightningNativeError as error:
        text = str(error)
        sys.exit(0 if OLDEST in text and version("lightning-sdk") in text and "\n" not in text else text)
    sys.exit("it was not refused")
