"""`emulator`: run a Lightning cloud on this machine."""

import argparse
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from lightning_native.errors import EmulatorError

EXAMPLE = "lightning-native emulator --root ./cloud --clock-rate 60"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _machine_seconds(text: str) -> tuple[str, float]:
    slug, _, seconds = text.partition("=")
    return slug, _seconds(seconds)


_seconds.__name__, _rate.__name__, _machine_seconds.__name__ = "seconds", "rate", "SLUG=SECONDS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--root", type=Path, metavar="DIR", help="the folder that keeps everything")
    place.add_argument("--ephemeral", action="store_true", help="keep everything in a temporary folder")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: that of last time)")
    parser.add_argument("--boot-seconds", type=_seconds, default=0.0, metavar="S", help="how long a studio boots")
    parser.add_argument(
        "--job-start-seconds", type=_seconds, default=0.0, metavar="S", help="how long a job is pending"
    )
    parser.add_argument(
        "--machine-seconds",
        type=_machine_seconds,
        action="append",
        default=[],
        metavar="SLUG=S",
        help="both of these for one machine, such as lit-l4-1=30",
    )
    parser.add_argument("--clock-rate", type=_rate, default=1.0, metavar="R", help="simulated seconds in a real second")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when stdin ends")
    parser.add_argument(
        "--exit-when-unused", type=Path, metavar="FILE", help="stop when nobody holds a lock on this file any more"
    )
    parser.add_argument("--verbose", action="store_true", help="log more")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        from lightning_native.emulator.cloud import Settings
        from lightning_native.emulator.server import Options, serve
    except ModuleNotFoundError as error:
        raise EmulatorError(f"the local cloud needs {error.name}: pip install 'lightning-native[emulator]'") from error
    level = logging.DEBUG if args.verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    settings = Settings(
        boot_seconds=args.boot_seconds,
        job_start_seconds=args.job_start_seconds,
        machine_seconds=dict(args.machine_seconds),
        clock_rate=args.clock_rate,
    )
    options = Options(port=args.port, stop_with_stdin=args.stop_with_stdin, users_file=args.exit_when_unused)
    root = Path(tempfile.mkdtemp(prefix="lightning-native-cloud-")) if args.ephemeral else args.root.expanduser()
    try:
        serve(root, settings, options)
    finally:
        if args.ephemeral:
            shutil.rmtree(root, ignore_errors=True)
    return 0
