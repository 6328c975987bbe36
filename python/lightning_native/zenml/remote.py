"""The former command for a controller on Lightning; `lightning-native runs` has taken its place.

`python -m lightning_native.zenml.remote logs|status|stop RUN` goes on working for one version.
"""

import argparse
import os
import sys

from lightning_native.child_process import python_module

_ACTIONS = {"logs": ("logs",), "status": ("show", "--json"), "stop": ("stop",)}


def main() -> None:
    """Become `lightning-native runs` with the same run and options."""
    parser = argparse.ArgumentParser(prog="python -m lightning_native.zenml.remote", description=__doc__)
    parser.add_argument("verb", choices=_ACTIONS)
    verb, options = parser.parse_known_args()
    action = ("runs", *_ACTIONS[verb.verb], *options)
    sys.stderr.write(f"use instead: lightning-native {' '.join(action)}\n")
    sys.stderr.flush()
    os.execv(sys.executable, python_module("lightning_native", *action))  # noqa: S606  an argv list of our own


if __name__ == "__main__":
    main()
