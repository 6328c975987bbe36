"""`lightning-native gc`: release the leases of dead runs."""

import argparse
import json
import os
import sys
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud, credentials_of_run
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.engine.leases import (
    collect_garbage,
    cost_of,
    dead_leases,
    dead_runs,
    discard_left_secrets,
    end_dead_run,
    is_driven,
    left_secrets,
    settle_handed_over,
)
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Lease
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CredentialsError, PlanError
from lightning_native.lightning.cloud import Cloud
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.units import human_dollars, human_seconds

EXAMPLE = "lightning-native gc --local --yes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_cloud_option(parser)
    add_yes_option(parser)
    parser.add_argument("--json", action="store_true", help="print what was released and what was not as JSON")


@dataclass
class Collected:
    """The things that were released or ended, and those that could not be."""

    released: list[Lease] = field(default_factory=list)
    failed: list[Lease] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    is_confirmed: bool = True


def run(args: argparse.Namespace) -> int:
    """Show the leases of dead runs, and release them after a confirmation."""
    done = Collected()
    with Journal() as journal:
        for variables in _clouds(journal, local=args.local):
            with variables:
                _collect(journal, done, yes=args.yes)
    if args.json:
        print(json.dumps(_described(done), indent=1))
    elif done.is_confirmed:
        for lease in done.released:
            print(f"released {lease.kind} {lease.name}", file=sys.stderr)
        for lease in done.failed:
            print(f"could not release {lease.kind} {lease.name}", file=sys.stderr)
        if done.secrets:
            print(f"secrets of {len(done.secrets)} runs deleted")
        if done.ended:
            print(f"{len(done.ended)} runs ended")
        print(f"{len(done.released)} released, {len(done.failed)} could not be released")
    return 1 if done.failed or not done.is_confirmed else 0


def _clouds(journal: Journal, *, local: bool) -> list[AbstractContextManager[object]]:
    """Return the blocks in which this process's variables name a cloud, for each cloud that is meant.

    Without credentials in the variables, these are the clouds of the ZenML components whose runs still hold something.

    Raises:
        CredentialsError: it is Lightning AI, and credentials are missing.
    """
    if local:
        return [chosen_cloud(local=True)]
    try:
        Credentials.from_environment(os.environ).environ()
    except CredentialsError:
        components = _components(journal)
        if not components:
            raise
        return [credentials_of_run(component) for component in components]
    return [chosen_cloud(local=False)]


def _components(journal: Journal) -> list[str]:
    """Return the ids of the ZenML components with which the dead runs on Lightning were submitted."""
    found = {}
    for run_id in [*(lease.run_id for lease in journal.open_leases()), *(run.run_id for run in journal.running())]:
        with suppress(PlanError):
            origin = RunFolder.of(run_id).origin()
            if origin.component and not origin.local_cloud and not is_driven(run_id):
                found[origin.component] = True
    return list(found)


def _collect(journal: Journal, done: Collected, *, yes: bool) -> None:
    """Collect on the cloud that this process's variables name."""
    settle_handed_over(journal)
    leases = dead_leases(journal, cloud_name())
    cloud_now = connect() if leases else None
    left = left_secrets(journal, cloud_name())
    secrets = [f"secrets of run {folder.path.name}, which nobody drives: to delete" for folder in left]
    held = {lease.run_id for lease in leases} | {folder.path.name for folder in left}
    dead = [run for run in dead_runs(journal, cloud_name()) if run.run_id not in held]
    ends = [f"run {run.run_id} of {run.name}, which nobody drives: to end" for run in dead]
    if not confirmed([*(_about(journal, cloud_now, lease) for lease in leases), *secrets, *ends], yes=yes):
        done.is_confirmed = False
        return
    if cloud_now:
        released, failed = collect_garbage(journal, cloud_now, leases)
        done.released += released
        done.failed += failed
    discard_left_secrets(journal, left)
    done.secrets += [folder.path.name for folder in left]
    for run in dead:
        end_dead_run(journal, run.run_id)
        done.ended.append(run.run_id)


def _about(journal: Journal, cloud: Cloud | None, lease: Lease) -> str:
    age = human_seconds(time.time() - lease.created)
    cost = cost_of(journal, cloud, lease) if cloud else None
    about = age if cost is None else f"{age}, {human_dollars(cost)}"
    return f"{lease.kind} {lease.name} of run {lease.run_id} ({about}): to {lease.on_release}"


def _described(done: Collected) -> dict[str, object]:
    return {
        "released": [asdict(lease) for lease in done.released],
        "failed": [asdict(lease) for lease in done.failed],
        "secrets_deleted": done.secrets,
        "ended": done.ended,
    }
