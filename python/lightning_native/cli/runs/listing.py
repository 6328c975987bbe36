"""`lightning-native runs list`: the newest runs, those that failed, or those of the last hours."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from typing import Any

from lightning_native.cli.options.numbers import duration
from lightning_native.cli.runs.place import cloud_of, location_of
from lightning_native.cli.text.messages import show_hint
from lightning_native.cli.text.table import format_table
from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord
from lightning_native.errors import LightningNativeError
from lightning_native.units import human_dollars, human_seconds, human_time

# Of the runs that are searched for those that a filter chooses.
_MOST_SEARCHED = 10_000


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--failed", action="store_true", help="only those that failed")
    parser.add_argument("--since", type=duration, metavar="AGE", help="only those that began within, such as 12h or 7d")


def list_runs(journal: Journal, args: argparse.Namespace) -> int:
    """Print the runs, newest first."""
    open_leases = [lease.run_id for lease in journal.open_leases()]
    shown = []
    for known in _chosen(journal, args):
        location = location_of(known) if known.state == "running" else None
        record, problem = (known, "") if location is None else _asked(journal, known, location)
        cost = CostSummary.of(journal, record.run_id)
        shown.append(
            {
                **asdict(record),
                "dollars": None if cost is None else round(cost.dollars, 6),
                "open_leases": open_leases.count(record.run_id),
                "controller_studio": location.studio if location and record.state == "running" else None,
                "problem": problem,
            }
        )
    if args.json:
        print(json.dumps(shown, indent=1))
    elif shown:
        print(format_table([_HEADER, *(_row(run) for run in shown)], right=(3, 4)))
    else:
        is_filtered = args.failed or args.since is not None
        sys.stderr.write("no run is such\n" if is_filtered else "there are no runs yet\n")
        show_hint("see all: lightning-native runs" if is_filtered else "start one: lightning-native demo")
    return 0


def _chosen(journal: Journal, args: argparse.Namespace) -> list[RunRecord]:
    is_filtered = args.failed or args.since is not None
    since = 0.0 if args.since is None else time.time() - args.since
    found = journal.runs(_MOST_SEARCHED if is_filtered else args.limit)
    return [run for run in found if run.started >= since and (run.state == "failed" or not args.failed)][: args.limit]


def _asked(journal: Journal, known: RunRecord, location: ControllerLocation) -> tuple[RunRecord, str]:
    """Return the record that a studio has of a run; if it cannot be asked, the known record and the reason."""
    from lightning_native.cli.runs.remote import RunElsewhere
    from lightning_native.engine.process.remote_controller import RemoteController
    from lightning_native.lightning.session import connect

    try:
        with cloud_of(location):
            return RunElsewhere(RemoteController(connect(), location, known.run_id), journal, known).view().run, ""
    except LightningNativeError as error:
        return known, str(error)


_HEADER = ("run", "state", "started", "time", "cost", "name", "")


def _row(run: dict[str, Any]) -> list[str]:
    notes = (
        f"{run['open_leases']} not released" if run["open_leases"] else "",
        f"driven by studio {run['controller_studio']}" if run["controller_studio"] else "",
        f"({run['problem']})" if run["problem"] else "",
    )
    return [
        run["run_id"][:12],
        run["state"],
        human_time(run["started"]),
        human_seconds((run["ended"] or time.time()) - run["started"]),
        "" if run["dollars"] is None else human_dollars(run["dollars"]),
        run["name"],
        "  ".join(filter(None, notes)),
    ]
