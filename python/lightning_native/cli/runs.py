"""`lightning-native runs`: what ran, how it ended, and what it still holds."""

import argparse
import json
import time
from dataclasses import asdict

from lightning_native.engine.journal import Journal
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import PlanError

EXAMPLE = "lightning-native runs --limit 5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN", help="a run's id, or the beginning of one: show its steps and leases"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="list the newest N runs (default: 20)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List runs, or show one."""
    with Journal() as journal:
        return _show(journal, args) if args.run_id else _list(journal, args)


def _list(journal: Journal, args: argparse.Namespace) -> int:
    open_leases = [lease.run_id for lease in journal.open_leases()]
    records = [
        {**asdict(record), "open_leases": open_leases.count(record.run_id)} for record in journal.runs(args.limit)
    ]
    if args.json:
        print(json.dumps(records, indent=1))
        return 0
    for record in records:
        seconds = (record["ended"] or time.time()) - record["started"]
        left = f"  {record['open_leases']} not released" if record["open_leases"] else ""
        print(f"{record['run_id']}  {record['state']:9}  {seconds:7.1f} s  {record['name']}{left}")
    return 0


def _show(journal: Journal, args: argparse.Namespace) -> int:
    matches = journal.runs_like(args.run_id)
    if len(matches) != 1:
        found = "no run" if not matches else f"{len(matches)} runs"
        raise PlanError(
            f"{found} in {journal.path} whose id begins with {args.run_id!r}; list them with: lightning-native runs"
        )
    record = matches[0]
    steps, leases = journal.steps(record.run_id), journal.leases(record.run_id)
    folder = RunFolder.of(record.run_id)
    if args.json:
        shown = {
            **asdict(record),
            "steps": [asdict(step) for step in steps],
            "leases": [asdict(lease) for lease in leases],
        }
        print(json.dumps(shown, indent=1))
        return 0
    driven = f"driven by process {record.controller}" if folder.is_driven() else "not driven by any process"
    print(f"{record.name}  {record.state}  {driven}\n{record.message}".rstrip())
    for step in steps:
        seconds = "" if step.started is None else f"{(step.ended or time.time()) - step.started:.1f} s"
        where = " on ".join(part for part in (step.place, step.machine) if part)
        print(f"  {step.name:20} {step.state:9} {seconds:>9}  {where}  {step.message}".rstrip())
    for lease in leases:
        state = "released" if lease.released else f"NOT RELEASED ({lease.on_release} it with: lightning-native gc)"
        print(f"  {lease.kind} {lease.name}: {state}")
    print(f"  logs: {folder.path / 'logs'}")
    return 0
