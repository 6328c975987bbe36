"""The command line: `lightning-native COMMAND …`.

Results go to stdout, progress and logs to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage.
Each command is a module of this package, imported only when it is called, with
`EXAMPLE`, `add_arguments(parser)` and `run(args) -> int`.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import lightning_native
from lightning_native.cli.options.parser import CommandParser
from lightning_native.cli.options.shared import check_options, share_options
from lightning_native.cli.text.messages import show_error
from lightning_native.errors import LightningNativeError, UsageError
from lightning_native.terminal import clean_output, open_standard_streams

COMMANDS = {
    "init": "set up ZenML: flavors, and a stack on the local cloud or an account",
    "demo": "run a real pipeline on the local cloud",
    "plan": "show what a workflow or pipeline would run where, when and for how much",
    "run": "run a workflow file on Lightning",
    "runs": "list, show, compare, follow, stop, resume, retry and prune runs",
    "job": "run, convert, extract, plan, watch and list jobs as Oracle ADS describes them",
    "schedules": "list, change, pause and delete what Lightning runs again and again",
    "budget": "limit what runs may cost in a month",
    "environments": "list and delete the template studios that runs start from",
    "gc": "release what dead runs left over",
    "doctor": "find what keeps runs from working here, and what to do about it",
    "emulator": "run a Lightning cloud on this machine",
    "conformance": "check what this package assumes about Lightning, and report what differs",
    "archive": "pack a source tree into a deterministic tar.gz",
    "extract": "unpack an archive safely into a new folder",
    "requirements": "merge and de-duplicate requirements",
    "dag": "order a graph, or find its cycle",
    "name": "make valid studio names",
    "completion": "print the script that completes commands in a shell",
}

# argcomplete's variable.
_ASKED = "_ARGCOMPLETE"
# The extras of commands that need others than `engine`.
EXTRAS = {"demo": "demo", "emulator": "emulator", "init": "zenml,emulator"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    open_standard_streams()
    # Names and messages of others must not reach the terminal with their control sequences.
    with clean_output():
        try:
            try:
                return _run(argv)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our stdout is gone; stdout leads elsewhere, so that the flush at exit stays silent.
            _discard_output()
        except OSError as error:
            _discard_output()
            where = f"{error.filename}: " if error.filename else ""
            show_error(f"{where}{error.strerror or error}")
        return 1


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _how_to_install(command: str) -> str:
    extras = EXTRAS.get(command, "engine")
    if extras == "emulator":
        return f"install it with: pip install 'lightning-native[{extras}]'"
    from lightning_native.lightning.sdk.version import how_to_install

    return how_to_install(extras)


def _run(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = CommandParser(prog="lightning-native", description="Run pipelines, workflows and jobs on Lightning AI.")
    parser.words = arguments
    # It is read from the installation's files only when it is asked for.
    version = f"lightning-native {lightning_native.__version__}" if "--version" in arguments else ""
    parser.add_argument("--version", action="version", version=version, help="print the version and end")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # A shell asks for the completions of the line that its user types.
    line = os.environ.get("COMP_LINE", "").split()[1:] if _ASKED in os.environ else arguments
    named = next((argument for argument in line if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == named:
            try:
                module = importlib.import_module(f"lightning_native.cli.{name}")
            except ModuleNotFoundError as error:
                if not {"-h", "--help"}.isdisjoint(arguments):
                    subparser.epilog = f"Its options are shown once its packages are here; {_how_to_install(name)}"
                    continue
                show_error(f"{error}; {_how_to_install(name)}")
                return 1
            subparser.epilog = f"example:\n  {module.EXAMPLE}"
            module.add_arguments(subparser)
            share_options(subparser)
            subparser.set_defaults(handler=module.run)
            parser.named = subparser
    if _ASKED in os.environ:
        import argcomplete

        # It ends this process.
        argcomplete.autocomplete(parser)
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    args = parser.parse_args(arguments)
    check_options(subparsers.choices[args.command], args)
    try:
        return int(args.handler(args))
    except LightningNativeError as error:
        show_error(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (OSError, SystemExit):
        raise
    except Exception as error:
        if os.environ.get("LIGHTNING_NATIVE_VERBOSE"):
            raise
        show_error(
            f"a mistake in lightning-native itself: {type(error).__name__}: {error}; set LIGHTNING_NATIVE_VERBOSE=1 to "
            "see where, and report it, please"
        )
        return 1
