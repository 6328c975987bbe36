"""`lightning-native gc`: give up what dead runs left over."""

import argparse
import json
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from lightning_native.cli.units import human_dollars, human_seconds
from lightning_native.emulator.attach import attach, default_root
from lightning_native.engine.journal import Journal
from lightning_native.engine.reconcile import collect_garbage, cost_of, dead_leases
from lightning_native.lightning.session import cloud_name, connect

EXAMPLE = "lightning-native gc --local --yes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--local", action="store_true", help="on the local cloud instead of Lightning AI")
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    parser.add_argument("--json", action="store_true", help="print what was released and what was not as JSON")


def run(args: argparse.Namespace) -> int:
    """Show what dead runs hold, and give it up after a yes."""
    cloud: AbstractContextManager[dict[str, str]] = attach(default_root()) if args.local else nullcontext({})
    with cloud as environ, Journal() as journal:
        os.environ.update(environ)
        leases = dead_leases(journal, cloud_name())
        cloud_now = connect() if leases else None
        for lease in leases:
            age = human_seconds(time.time() - lease.created)
            cost = cost_of(journal, cloud_now, lease) if cloud_now else None
            about = age if cost is None else f"{age}, {human_dollars(cost)}"
            print(f"{lease.kind} {lease.name} of run {lease.run_id} ({about}): to {lease.on_release}", file=sys.stderr)
        if leases and not args.yes and input("Go ahead? [y/N] ").strip().lower() not in ("y", "yes"):
            return 1
        released, failed = collect_garbage(journal, cloud_now, leases) if cloud_now else ([], [])
    if args.json:
        print(json.dumps({"released": [asdict(x) for x in released], "failed": [asdict(x) for x in failed]}, indent=1))
    else:
        print(f"{len(released)} released, {len(failed)} could not be released")
    return 1 if failed else 0
