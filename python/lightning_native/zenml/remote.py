"""The former path of the command that reaches a controller on Lightning: now `lightning-native runs`."""

import sys

from lightning_native.zenml.remote_controller.command import main

if __name__ == "__main__":
    sys.exit(main())
