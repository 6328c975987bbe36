"""Where this package keeps its own files."""

import os
from pathlib import Path


def home() -> Path:
    """Return the folder for journals, runs and the local cloud, made with mode 0700 if missing.

    `LIGHTNING_NATIVE_HOME` names it; by default it is `lightning-native` in the user's data folder.
    """
    named = os.environ.get("LIGHTNING_NATIVE_HOME")
    if named:
        folder = Path(named).expanduser().absolute()
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lightning-native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
