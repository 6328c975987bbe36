"""`lightning-native environments`: the template studios that runs start from."""

import argparse
import json
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from lightning_native.emulator.attach import attach, default_root
from lightning_native.engine.journal import Environment, Journal
from lightning_native.lightning.session import cloud_name, connect

EXAMPLE = "lightning-native environments prune --unused-days 30"

_DAY = 86_400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(action="list", local=False, json=False)
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = commands.add_parser("list", help="list them, the one that was used last first (also without an action)")
    listing.add_argument("--json", action="store_true", help="print JSON")
    prune = commands.add_parser("prune", help="delete those not used for a while; they are made again when needed")
    prune.add_argument("--unused-days", type=float, default=0.0, metavar="N", help="keep what was used in N days")
    for command in (parser, listing, prune):
        command.add_argument("--local", action="store_true", help="on the local cloud instead of Lightning AI")


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    cloud: AbstractContextManager[dict[str, str]] = attach(default_root()) if args.local else nullcontext({})
    with cloud as environ, Journal() as journal:
        os.environ.update(environ)
        known = journal.environments(cloud_name())
        return _prune(journal, known, args.unused_days) if args.action == "prune" else _list(known, args.json)


def _list(environments: list[Environment], as_json: bool) -> int:
    if as_json:
        print(json.dumps([asdict(environment) for environment in environments], indent=1))
        return 0
    for environment in environments:
        state = "ready" if environment.ready else "half prepared"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(environment.used))
        print(f"{environment.fingerprint[:12]}  {state:13}  used {used}  {environment.studio}")
    return 0


def _prune(journal: Journal, environments: list[Environment], unused_days: float) -> int:
    old = [environment for environment in environments if environment.used <= time.time() - unused_days * _DAY]
    cloud = connect() if old else None
    for environment in old:
        studio = cloud.find_studio(environment.studio) if cloud else None
        if studio is not None:
            studio.release(delete=True)
        journal.forget_studio(environment.cloud, environment.studio)
    print(f"{len(old)} deleted, {len(environments) - len(old)} kept")
    return 0
