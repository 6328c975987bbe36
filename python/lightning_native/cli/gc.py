"""`lightning-native gc`: release the leases of dead runs."""

import argparse
import json
import sys
import time
from dataclasses import asdict

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.cli.text.units import human_dollars, human_seconds
from lightning_native.engine.leases import collect_garbage, cost_of, dead_leases, discard_left_secrets, left_secrets
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Lease
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.cloud import Cloud
from lightning_native.lightning.session import cloud_name, connect

EXAMPLE = "lightning-native gc --local --yes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_cloud_option(parser)
    add_yes_option(parser)
    parser.add_argument("--json", action="store_true", help="print what was released and what was not as JSON")


def run(args: argparse.Namespace) -> int:
    """Show the leases of dead runs, and release them after a confirmation."""
    with chosen_cloud(local=args.local), Journal() as journal:
        leases = dead_leases(journal, cloud_name())
        cloud_now = connect() if leases else None
        left = left_secrets(journal, cloud_name())
        secrets = [f"secrets of run {folder.path.name}, which nobody drives: to delete" for folder in left]
        wanted = confirmed([*(_about(journal, cloud_now, lease) for lease in leases), *secrets], yes=args.yes)
        released, failed = collect_garbage(journal, cloud_now, leases) if cloud_now and wanted else ([], [])
        if wanted:
            discard_left_secrets(journal, left)
    if args.json:
        print(json.dumps(_described(released, failed, left if wanted else []), indent=1))
    elif wanted:
        for lease in released:
            print(f"released {lease.kind} {lease.name}", file=sys.stderr)
        for lease in failed:
            print(f"could not release {lease.kind} {lease.name}", file=sys.stderr)
        if left:
            print(f"secrets of {len(left)} runs deleted")
        print(f"{len(released)} released, {len(failed)} could not be released")
    return 1 if failed or not wanted else 0


def _about(journal: Journal, cloud: Cloud | None, lease: Lease) -> str:
    age = human_seconds(time.time() - lease.created)
    cost = cost_of(journal, cloud, lease) if cloud else None
    about = age if cost is None else f"{age}, {human_dollars(cost)}"
    return f"{lease.kind} {lease.name} of run {lease.run_id} ({about}): to {lease.on_release}"


def _described(released: list[Lease], failed: list[Lease], left: list[RunFolder]) -> dict[str, object]:
    return {
        "released": [asdict(lease) for lease in released],
        "failed": [asdict(lease) for lease in failed],
        "secrets_deleted": [folder.path.name for folder in left],
    }
