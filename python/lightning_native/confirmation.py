"""The question that comes before something is deleted or stopped."""

import argparse
import sys
from collections.abc import Sequence

from lightning_native.errors import UsageError
from lightning_native.terminal import one_line


def add_yes_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option that answers the question."""
    parser.add_argument("--yes", action="store_true", help="do not ask first")


def confirmed(things: Sequence[str], *, yes: bool) -> bool:
    """Show on stderr what is about to happen, one thing a line, and return whether that is wanted.

    Args:
        things: such as `studio a: to delete`; nothing is asked when there are none.
        yes: the answer was given on the command line.

    Raises:
        UsageError: there is nobody to ask.
    """
    for thing in things:
        sys.stderr.write(f"{one_line(thing)}\n")
    if yes or not things:
        return True
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("this asks before it goes ahead, and there is no terminal to ask on; say --yes")
    # Not `input`, which writes to stdout, where the results are.
    sys.stderr.write("Go ahead? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
    if answer.strip().lower() in ("y", "yes"):
        return True
    sys.stderr.write("nothing was changed\n")
    return False
