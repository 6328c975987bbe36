"""The option for no output but the result and errors."""

import argparse


def add_quiet_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument("--quiet", "-q", action="store_true", help="show no output and progress, only the end")
