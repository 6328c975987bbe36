"""`requirements`: merge requirement files."""

import argparse
import json
import sys
from pathlib import Path

from lightning_native import merge_requirements
from lightning_native.cli.text.messages import show_warning
from lightning_native.cli.text.output import write_output

EXAMPLE = "lightning-native requirements requirements.txt extra.txt -o merged.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a requirement file, or - for stdin")
    parser.add_argument("-o", "--output", type=Path, help="write to this file instead of stdout")
    parser.add_argument(
        "--on-conflict", choices=["error", "last"], default="error", help="`last` keeps what was read last"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    sources = [("stdin", sys.stdin.read()) if str(file) == "-" else file for file in args.files]
    merged = merge_requirements(sources, on_conflict=args.on_conflict)
    for conflict in merged.conflicts:
        show_warning(f"{conflict}; kept the last")
    for constraint in merged.constraints:
        show_warning(f"no line requires what is constrained here: {constraint}")
    if args.json:
        result = {
            "lines": merged.lines,
            "line_options": merged.line_options,
            "options": merged.options,
            "constraints": merged.constraints,
            "conflicts": [
                {"name": conflict.name, "first": conflict.first, "last": conflict.last} for conflict in merged.conflicts
            ],
        }
        text = json.dumps(result, indent=2) + "\n"
    else:
        text = merged.to_text()
    if args.output is None:
        sys.stdout.write(text)
    else:
        write_output(args.output, text)
    return 0
