"""`python -m lightning_native`."""

import sys

from lightning_native.cli import main

if __name__ == "__main__":
    sys.exit(main())
