"""`lightning-native conformance`: checks of what this package assumes about the platform, against any cloud."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lightning_native.cli.conformance.show import plan_lines, print_list, print_plan, shown
from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.cli.options.numbers import dollars, rate
from lightning_native.cli.text.output import write_output
from lightning_native.conformance.check import DIFFERENT
from lightning_native.conformance.checks import CHECKS
from lightning_native.conformance.plan import plan_of
from lightning_native.conformance.report import described, markdown
from lightning_native.conformance.run import check_cost, run_suite
from lightning_native.errors import UsageError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import own_cloud, with_variables

EXAMPLE = "lightning-native conformance --plan"

_MAX_COST = 0.5
# Fast enough for two minutes, and slow enough that a poll sees what lasts half a minute there.
_LOCAL_RATE = 20.0
_LOCAL_PROFILE = "platform"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_cloud_option(parser, about="on a local cloud of its own, with the profile `platform`,")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="print machines, time and cost; contact nothing")
    what.add_argument("--list", action="store_true", help="print the checks with their assumptions; contact nothing")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="only these checks")
    parser.add_argument(
        "--max-cost",
        type=dollars,
        default=_MAX_COST,
        metavar="$",
        help=f"the most that the checks may cost, in dollars (default: {_MAX_COST:.2f})",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report to FILE.md or FILE.json")
    parser.add_argument(
        "--clock-rate",
        type=rate,
        metavar="R",
        help=f"the --clock-rate of the local cloud that is checked (default: {_LOCAL_RATE:g} with --local, else 1)",
    )
    add_yes_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Plan, ask, check and report; return 0 only if nothing is different."""
    plan = plan_of(CHECKS, args.only)
    if args.report and args.report.suffix not in (".md", ".json"):
        raise UsageError(f"--report writes FILE.md or FILE.json, not {args.report}")
    if args.list or args.plan:
        (print_list if args.list else print_plan)(plan, as_json=args.json)
        return 0
    check_cost(plan, args.max_cost)
    if not args.local:
        # Before the question, which is of no use without them.
        Credentials.from_environment(os.environ).environ()
        if not confirmed(plan_lines(plan), yes=args.yes):
            return 1
    with _cloud(args), _ends_on_sigterm():
        result = run_suite(
            plan,
            max_cost=args.max_cost,
            rate=args.clock_rate or (_LOCAL_RATE if args.local else 1.0),
            # One write, because several threads report.
            say=lambda line: sys.stderr.write(f"{line}\n"),
        )
        data = described(result, cloud=_cloud_named())
    if args.report:
        write_output(args.report, json.dumps(data, indent=1) + "\n" if _is_json(args.report) else markdown(data))
    print(json.dumps(data, indent=1) if args.json else shown(data))
    for name in result.left:
        print(f"left over: {name}; release it with: lightning-native gc", file=sys.stderr)
    if result.is_interrupted:
        return 130
    return 1 if data["counts"][DIFFERENT] or result.left or result.ended else 0


def _is_json(path: Path) -> bool:
    return path.suffix == ".json"


@contextmanager
def _cloud(args: argparse.Namespace) -> Iterator[None]:
    """Set this process's variables to those of the cloud that is checked."""
    if not args.local:
        with chosen_cloud(local=False):
            yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="lightning-native-conformance-") as home,
        # Its leases are of no use once its cloud is gone.
        with_variables({"LIGHTNING_NATIVE_HOME": home}),
        own_cloud(profile=_LOCAL_PROFILE, clock_rate=args.clock_rate or _LOCAL_RATE),
    ):
        yield


def _cloud_named() -> str:
    host = urlsplit(os.environ.get("LIGHTNING_CLOUD_URL", "")).hostname
    return "a local cloud" if host in ("127.0.0.1", "localhost") else "Lightning AI"


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """End the run in order on SIGTERM, as on Ctrl-C."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
