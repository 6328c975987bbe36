"""`lightning-native environments`: the template studios that runs start from."""

import argparse
import json
import sys
import time
from dataclasses import asdict

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Environment
from lightning_native.engine.studios.sharing import delete_environment
from lightning_native.lightning.session import cloud_name, connect

EXAMPLE = "lightning-native environments prune --unused-days 30"

_DAY = 86_400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(action="list")
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = commands.add_parser("list", help="list them, the one that was used last first (also without an action)")
    prune = commands.add_parser("prune", help="delete those not used for a while; they are made again when needed")
    prune.add_argument("--unused-days", type=float, default=0.0, metavar="N", help="keep what was used in N days")
    add_yes_option(prune)
    for command in (parser, listing, prune):
        add_cloud_option(command)
        command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    with chosen_cloud(local=args.local), Journal() as journal:
        known = journal.environments(cloud_name())
        return _prune(journal, known, args) if args.action == "prune" else _list(known, args.json)


def _list(environments: list[Environment], as_json: bool) -> int:
    if as_json:
        print(json.dumps([asdict(environment) for environment in environments], indent=1))
        return 0
    for environment in environments:
        state = "ready" if environment.ready else "half prepared"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(environment.used))
        python = f"Python {environment.version}" if environment.version else ""
        print(f"{environment.fingerprint[:12]}  {state:13}  used {used}  {python:14}  {environment.studio}")
    return 0


def _prune(journal: Journal, environments: list[Environment], args: argparse.Namespace) -> int:
    old = [environment for environment in environments if environment.used <= time.time() - args.unused_days * _DAY]
    wanted = confirmed([f"studio {environment.studio}: to delete" for environment in old], yes=args.yes)
    cloud = connect() if old and wanted else None
    deleted = []
    for environment in old:
        if cloud and delete_environment(journal, cloud, environment):
            deleted.append(environment)
            print(f"deleted studio {environment.studio}", file=sys.stderr)
        elif cloud:
            print(f"kept studio {environment.studio}: a run uses it", file=sys.stderr)
    if args.json:
        kept = [environment for environment in environments if environment not in deleted]
        print(json.dumps({"deleted": [asdict(each) for each in deleted], "kept": [asdict(each) for each in kept]}))
    elif wanted:
        print(f"{len(deleted)} deleted, {len(environments) - len(deleted)} kept")
    return 0 if wanted else 1
