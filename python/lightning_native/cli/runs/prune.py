"""`runs prune`: the folders of old runs are deleted."""

import argparse
import json
import sys
import time
from dataclasses import asdict

from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.cli.options.numbers import duration, size
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.pruning import PrunableRun, chosen, folders_by_age, prune
from lightning_native.errors import UsageError
from lightning_native.units import human_bytes, human_seconds


def add_prune_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--older-than", type=duration, metavar="AGE", help="those that ended before, such as 30d or 12h"
    )
    parser.add_argument("--keep-bytes", type=size, metavar="SIZE", help="the oldest ones beyond so much, such as 5G")
    parser.add_argument("--dry-run", action="store_true", help="only show them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_yes_option(parser)


def prune_runs(journal: Journal, args: argparse.Namespace) -> int:
    """Show the runs whose folders are old or too many, and delete these after a confirmation."""
    if args.older_than is None and args.keep_bytes is None:
        raise UsageError("say which: --older-than 30d, --keep-bytes 5G, or both")
    runs = folders_by_age(journal)
    old = chosen(runs, older_than=args.older_than, keep_bytes=args.keep_bytes)
    if args.dry_run:
        wanted, pruned = True, old
        for run in old:
            print(_line(run), file=sys.stderr)
    else:
        wanted = confirmed([f"{_line(run)}: to delete, with its logs and outputs" for run in old], yes=args.yes)
        pruned = [run for run in old if wanted and prune(journal, run)]
    for run in runs:
        if run.kept_because and args.older_than is not None and run.ended < time.time() - args.older_than:
            print(f"kept run {run.run_id[:12]}: it {run.kept_because}", file=sys.stderr)
    total = sum(run.size for run in pruned)
    if args.json:
        left = sum(run.size for run in runs) - (0 if args.dry_run else total)
        described = [asdict(run) for run in pruned]
        print(json.dumps({"pruned": described, "bytes": total, "bytes_left": left, "dry_run": args.dry_run}, indent=1))
    elif wanted:
        verb = "would be pruned" if args.dry_run else "pruned"
        print(f"{len(pruned)} runs {verb}, {human_bytes(total)}; {len(runs) - len(pruned)} kept")
    return 0 if wanted else 1


def _line(run: PrunableRun) -> str:
    age = human_seconds(time.time() - run.ended)
    return f"run {run.run_id[:12]} {run.name}, which ended {age} ago, {human_bytes(run.size)}"
