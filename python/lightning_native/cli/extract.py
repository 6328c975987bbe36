"""`extract`: unpack an archive safely into a new folder."""

import argparse
import json
from pathlib import Path

from lightning_native import extract_archive
from lightning_native.progress_bar import ProgressBar

EXAMPLE = "lightning-native extract code.tar.gz code"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("archive", type=Path, help="a tar.gz file")
    parser.add_argument("destination", type=Path, help="a folder that is new or empty")
    parser.add_argument("--max-bytes", type=int, help="refuse an archive that unpacks to more, default: 1 TiB")
    parser.add_argument(
        "--max-ratio", type=int, help="refuse one that unpacks to more than so many times its size, default: 200"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with ProgressBar("extracting") as progress:
        report = extract_archive(
            args.archive, args.destination, progress=progress, max_bytes=args.max_bytes, max_ratio=args.max_ratio
        )
    result = {
        "destination": str(args.destination),
        "files": report.files,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": round(report.seconds, 4),
    }
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        for key, value in result.items():
            print(f"{key.replace('_', ' '):<13}{value}")
    return 0
