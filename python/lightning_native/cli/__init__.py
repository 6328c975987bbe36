"""The command line: `python -m lightning_native COMMAND …`.

Results go to stdout, progress and logs to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage.
Each command is a module of this package, imported only when it is called, with
`EXAMPLE`, `add_arguments(parser)` and `run(args) -> int`.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from lightning_native.cli.options.shared import check_options, share_options
from lightning_native.errors import LightningNativeError, UsageError
from lightning_native.terminal import clean_output

COMMANDS = {
    "archive": "pack a source tree into a deterministic tar.gz",
    "extract": "unpack an archive safely into a new folder",
    "name": "make valid studio names",
    "requirements": "merge and de-duplicate requirements",
    "dag": "order a graph, or find its cycle",
    "emulator": "run a Lightning cloud on this machine",
    "demo": "run a real pipeline on the local cloud",
    "plan": "show what a workflow would run where, when and for how much",
    "run": "run a workflow file on Lightning",
    "job": "run, convert, extract, plan, watch and list jobs as Oracle ADS describes them",
    "runs": "list, show, follow, stop and resume runs",
    "budget": "limit what runs may cost in a month",
    "schedules": "list, change, pause and delete what Lightning runs again and again",
    "environments": "list and delete the template studios that runs start from",
    "gc": "release what dead runs left over",
    "conformance": "check what this package assumes about Lightning, and report what differs",
    "doctor": "find what keeps runs from working here, and what to do about it",
}

# The extras of commands that need others than `engine`.
EXTRAS = {"demo": "zenml,emulator", "emulator": "emulator"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Names and messages of others must not reach the terminal with their control sequences.
    with clean_output():
        return _run(argv)


def _how_to_install(command: str) -> str:
    extras = EXTRAS.get(command, "engine")
    if extras == "emulator":
        return f"install it with: pip install 'lightning-native[{extras}]'"
    from lightning_native.lightning.sdk.version import how_to_install

    return how_to_install(extras)


def _run(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="lightning-native", description=(__doc__ or "").split("\n")[0])
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == named:
            try:
                module = importlib.import_module(f"lightning_native.cli.{name}")
            except ModuleNotFoundError as error:
                print(f"error: {error}; {_how_to_install(name)}", file=sys.stderr)
                return 1
            subparser.epilog = f"example:\n  {module.EXAMPLE}"
            module.add_arguments(subparser)
            share_options(subparser)
            subparser.set_defaults(handler=module.run)
    args = parser.parse_args(arguments)
    check_options(subparsers.choices[args.command], args)
    try:
        return int(args.handler(args))
    except LightningNativeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our stdout is gone; stdout leads elsewhere, so that the flush at exit stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
