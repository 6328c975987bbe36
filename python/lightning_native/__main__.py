"""`python -m lightning_native`."""

import os
import sys

try:
    # Python has put the folder that it was started in first, where a `queue.py` of the user's would be ours.
    if sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109  pathlib might be the user's
        del sys.path[0]
except FileNotFoundError:
    # That folder is gone.
    pass

from lightning_native.cli import main

if __name__ == "__main__":
    sys.exit(main())
