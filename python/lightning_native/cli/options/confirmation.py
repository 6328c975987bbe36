"""The question before something is stopped or deleted."""

import argparse
import sys
from collections.abc import Sequence

from lightning_native.errors import UsageError
from lightning_native.terminal import ask, one_line


def add_yes_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option that answers the question."""
    parser.add_argument("--yes", action="store_true", help="do not ask first")


def confirmed(things: Sequence[str], *, yes: bool) -> bool:
    """Print on stderr each thing that is about to change, and return whether the user confirms.

    Args:
        things: one line each, such as `studio a: to delete`; without any, there is no question.
        yes: the answer was given on the command line.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    for thing in things:
        sys.stderr.write(f"{one_line(thing)}\n")
    if yes or not things:
        return True
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("this asks before it goes ahead, and there is no terminal to ask on; say --yes")
    if ask("Go ahead? [y/N] ") in ("y", "yes"):
        return True
    sys.stderr.write("nothing was changed\n")
    return False
