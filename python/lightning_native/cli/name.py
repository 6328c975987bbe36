"""`name`: create valid studio names."""

import argparse
import json

from lightning_native import sanitize_studio_name, unique_studio_name

EXAMPLE = "lightning-native name 'My Pipeline (v2)'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("parts", nargs="+", metavar="TEXT", help="one name for each TEXT")
    parser.add_argument("--unique", action="store_true", help="one name of all TEXTs, distinct from that of any others")
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.unique:
        names = {" ".join(args.parts): unique_studio_name(*args.parts)}
    else:
        names = {part: sanitize_studio_name(part) for part in args.parts}
    if args.json:
        print(json.dumps(names, indent=2))
    else:
        print("\n".join(names.values()))
    return 0
