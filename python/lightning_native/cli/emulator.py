"""`emulator`: run a Lightning cloud on this machine."""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning_native.cli.options.numbers import count, dollars, rate, seconds
from lightning_native.emulator import Faults, read_environ, stop_server
from lightning_native.emulator.state.faults import FORMER_KINDS, KINDS
from lightning_native.emulator.state.profile import PARTS, PROFILES, option_of, profile_of
from lightning_native.emulator.state.reported import Reported, read_report
from lightning_native.emulator.state.root import root_folder
from lightning_native.emulator.state.server_file import exports
from lightning_native.errors import EmulatorError
from lightning_native.lightning.local import default_root

EXAMPLE = "lightning-native emulator --root ./cloud --clock-rate 60"
FAULT_EXAMPLE = "lightning-native emulator fault add --match 'POST */execute' --status 503 --after-accept --times 1"
_POLL_SECONDS = 0.05


def _machine_seconds(text: str) -> tuple[str, float]:
    slug, _, value = text.partition("=")
    return slug, seconds(value)


def _truth(text: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _dollars_or_inf(text: str) -> float:
    """Return dollars; `inf` for no limit."""
    return float("inf") if text == "inf" else dollars(text)


def _kind_of(default: Any) -> Callable[[str], Any]:
    """Return the function that reads a part's value."""
    if isinstance(default, bool):
        return _truth
    if isinstance(default, int):
        return count
    return _dollars_or_inf if default == float("inf") else seconds


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "no limit" if value == float("inf") else f"{value:g}"


_truth.__name__, _dollars_or_inf.__name__, _machine_seconds.__name__ = "yes or no", "dollars", "SLUG=SECONDS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--root", metavar="DIR", help="the folder that keeps everything: new, empty, or of an earlier time"
    )
    place.add_argument("--ephemeral", action="store_true", help="keep everything in a temporary folder")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: that of last time)")
    parser.add_argument("--boot-seconds", type=seconds, default=0.0, metavar="S", help="how long a studio boots")
    parser.add_argument("--job-start-seconds", type=seconds, default=0.0, metavar="S", help="how long a job is pending")
    parser.add_argument(
        "--machine-seconds",
        type=_machine_seconds,
        action="append",
        default=[],
        metavar="SLUG=S",
        help="both of these for one machine, such as lit-l4-1=30",
    )
    parser.add_argument("--clock-rate", type=rate, default=1.0, metavar="R", help="simulated seconds in a real second")
    parser.add_argument(
        "--strip-home-prefix",
        action="store_true",
        help="take uploads to /teamspace/studios/this_studio/X as X, as older SDKs did",
    )
    parser.add_argument(
        "--no-namespace", action="store_true", help="do not show studios their files at /teamspace/studios/this_studio"
    )
    parser.add_argument("--strict", action="store_true", help="have machines that know nothing of this computer")
    parser.add_argument("--python", metavar="3.N", help="the Python of strict machines (default: 3.12, if it is here)")
    parser.add_argument("--no-index", action="store_true", help="keep strict machines from the package index")
    parser.add_argument(
        "--preinstalled",
        metavar="'REQ …'",
        help="requirements that strict machines begin with (default: as on the platform, but for torch)",
    )
    parser.add_argument(
        "--profile",
        choices=list(PROFILES),
        help="how much of the platform's behaviour to model (default: quick, with --as-reported platform)",
    )
    parser.add_argument(
        "--as-reported",
        type=Path,
        metavar="FILE.json",
        help="behave as a conformance report has seen it: its measured values become parts of the profile",
    )
    parts = parser.add_argument_group("parts of the profile", "values instead of those of the profile")
    for part in PARTS:
        parts.add_argument(
            option_of(part.name),
            type=_kind_of(part.default),
            default=argparse.SUPPRESS,
            metavar="yes|no" if isinstance(part.default, bool) else "N",
            help=f"{part.metadata['help']} (platform: {_shown(part.metadata['platform'])})",
        )
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when stdin ends")
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.set_defaults(action=_serve)
    actions = parser.add_subparsers(metavar="{env,stop,fault}", title="talk to a server that runs")
    env = actions.add_parser("env", help="print the variables to export", description="Print the variables to export.")
    env.add_argument("--json", action="store_true", help="as JSON")
    env.add_argument("--wait", type=seconds, default=0.0, metavar="S", help="wait so many seconds for it to be ready")
    stop = actions.add_parser("stop", help="stop it, with all studios and jobs", description="Stop a server.")
    for verb, action in ((env, _print_environ), (stop, _stop)):
        verb.add_argument("--root", metavar="DIR", default=argparse.SUPPRESS, help="the server's folder")
        verb.set_defaults(action=action)
    fault = actions.add_parser("fault", help="make something go wrong", description="Make something go wrong.")
    _add_fault_arguments(fault)


def _add_fault_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="{add,list,remove}")
    kinds = "\n".join(
        textwrap.fill(meaning, 80, initial_indent=f"  {kind:16} ", subsequent_indent=" " * 19)
        for kind, meaning in KINDS.items()
    )
    add = verbs.add_parser(
        "add",
        help="add a fault",
        epilog=f"kinds:\n{kinds}\n\nexample:\n  {FAULT_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument(
        "kind", nargs="?", default="status", choices=[*KINDS, *FORMER_KINDS], metavar="KIND", help="(default: status)"
    )
    add.add_argument("--match", default="", metavar="'METHOD PATH'", help="the requests, with * for anything")
    add.add_argument("--times", type=int, default=1, metavar="N", help="how often it fires; 0 for always (default: 1)")
    add.add_argument("--status", type=int, default=503, metavar="CODE", help="the HTTP status (default: 503)")
    add.add_argument("--seconds", type=seconds, default=0.0, metavar="S", help="of delay, or until a loss")
    add.add_argument("--after-accept", action="store_true", help="carry the request out all the same")
    add.add_argument("--machine", default="", metavar="SLUG", help="the machine it is about")
    add.add_argument("--name", default="", help="the studio or job it is about")
    listing = verbs.add_parser("list", help="list the faults that are left")
    listing.add_argument("--json", action="store_true", help="as JSON")
    remove = verbs.add_parser("remove", help="remove a fault")
    remove.add_argument("number", nargs="?", type=int, help="its number; all faults when left out")
    for verb, action in ((add, _add_fault), (listing, _list_faults), (remove, _remove_fault)):
        verb.add_argument("--root", metavar="DIR", default=argparse.SUPPRESS, help="the server's folder")
        verb.set_defaults(action=action)


def _root(args: argparse.Namespace) -> Path:
    return default_root() if args.root is None else root_folder(args.root)


def _environ(args: argparse.Namespace) -> dict[str, str]:
    environ = read_environ(_root(args))
    if environ is None:
        raise EmulatorError(f"no local cloud runs in {_root(args)}; give its --root")
    return environ


def _print_environ(args: argparse.Namespace) -> None:
    deadline = time.monotonic() + args.wait
    while read_environ(_root(args)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    environ = _environ(args)
    print(json.dumps(environ, indent=2) if args.json else exports(environ))


def _stop(args: argparse.Namespace) -> None:
    _environ(args)
    stop_server(_root(args))


def _faults(args: argparse.Namespace) -> Faults:
    # The variables may be those of the account, whose key must not go to a local cloud.
    here = urlsplit(os.environ.get("LIGHTNING_CLOUD_URL", "")).hostname in ("127.0.0.1", "localhost")
    named: Mapping[str, str] = os.environ if here and "LIGHTNING_API_KEY" in os.environ and args.root is None else {}
    environ = named or _environ(args)
    return Faults(environ["LIGHTNING_CLOUD_URL"], environ["LIGHTNING_API_KEY"])


def _add_fault(args: argparse.Namespace) -> None:
    options = ("match", "times", "status", "seconds", "after_accept", "machine", "name")
    fault = _faults(args).add(args.kind, **{name: getattr(args, name) for name in options})
    print(fault.id)


def _list_faults(args: argparse.Namespace) -> None:
    faults = _faults(args).list()
    if args.json:
        print(json.dumps([asdict(fault) for fault in faults], indent=2))
        return
    for fault in faults:
        about = " ".join(part for part in (fault.match, fault.machine, fault.name) if part)
        print(f"{fault.id}  {fault.kind} {about}  fired {fault.fired} of {fault.times or 'any number of'} times")


def _remove_fault(args: argparse.Namespace) -> None:
    faults = _faults(args)
    if args.number is None:
        faults.clear()
    else:
        faults.remove(args.number)


def _check_strict(args: argparse.Namespace) -> None:
    given = (("--python", args.python), ("--no-index", args.no_index), ("--preinstalled", args.preinstalled))
    for name, value in given:
        if value not in (None, False) and not args.strict:
            raise EmulatorError(f"{name} is about strict machines; add --strict")
    if args.strict and args.no_namespace:
        raise EmulatorError("strict machines have namespaces; give --strict or --no-namespace")


def _serve(args: argparse.Namespace) -> None:
    _check_strict(args)
    try:
        from lightning_native.emulator.server import Options, serve
        from lightning_native.emulator.state.settings import Settings
    except ModuleNotFoundError as error:
        raise EmulatorError(f"the local cloud needs {error.name}: pip install 'lightning-native[emulator]'") from error
    reported = read_report(args.as_reported) if args.as_reported else Reported()
    given = {part.name: vars(args)[part.name] for part in PARTS if part.name in args}
    level = logging.DEBUG if args.verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    settings = Settings(
        boot_seconds=args.boot_seconds,
        job_start_seconds=args.job_start_seconds,
        machine_seconds=dict(args.machine_seconds),
        clock_rate=args.clock_rate,
        strip_home_prefix=args.strip_home_prefix,
        namespaces=not args.no_namespace,
        strict=args.strict,
        python=args.python,
        index=not args.no_index,
        preinstalled=None if args.preinstalled is None else tuple(args.preinstalled.split()),
        profile=profile_of(args.profile or ("platform" if args.as_reported else "quick"), {**reported.parts, **given}),
        machines=reported.machines,
    )
    options = Options(port=args.port, stop_with_stdin=args.stop_with_stdin)
    root = Path(tempfile.mkdtemp(prefix="lightning-native-cloud-")) if args.ephemeral else _root(args)
    try:
        serve(root, settings, options)
    finally:
        if args.ephemeral:
            shutil.rmtree(root, ignore_errors=True)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    args.action(args)
    return 0
