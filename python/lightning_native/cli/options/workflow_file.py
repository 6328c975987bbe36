"""The parts that the commands with a workflow file share."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.dollars import dollars
from lightning_native.emulator import read_environ
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.budget_check import balance_warning, check_budget
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.estimate import Estimate, estimate
from lightning_native.engine.planning.machine_choice import MachineOffer
from lightning_native.engine.process.credentialed import controller_environment
from lightning_native.engine.record.budgets import month_begin, monthly_budget
from lightning_native.engine.record.costs import spent_since
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.studios.interpreter import difference_at_submission
from lightning_native.errors import CloudError
from lightning_native.jobs.step import step_command
from lightning_native.lightning.local import default_root
from lightning_native.placement import PlacementName
from lightning_native.workflow.loader import Workflow, load_workflow

PREPARE_SECONDS = 60.0
BOOT_SECONDS = 30.0


def add_workflow_arguments(
    parser: argparse.ArgumentParser, *, what: str = "the workflow, such as workflow.yaml"
) -> None:
    """Declare the workflow file, which is `what`, and the options that override its keys."""
    parser.add_argument("workflow", type=Path, metavar="FILE", help=what)
    add_cloud_option(parser)
    parser.add_argument("--placement", choices=get_args(PlacementName), help="instead of the file's")
    parser.add_argument("--max-parallelism", type=_positive, metavar="N", help="instead of the file's")
    parser.add_argument("--budget", type=dollars, metavar="DOLLARS", help="instead of the file's")


def overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line gives instead of the file's keys, by the names of the plan."""
    given = {name: getattr(args, name) for name in ("placement", "max_parallelism", "budget")}
    return {name: value for name, value in given.items() if value}


def read_workflow(args: argparse.Namespace) -> Workflow:
    """Read the file that the command line names, with the command line's overrides.

    Raises:
        PlanError: it cannot run as it is written.
    """
    return overridden_workflow(args.workflow, overrides(args))


def overridden_workflow(path: Path, options: Mapping[str, Any]) -> Workflow:
    """Read a workflow file, with the overrides of a command line.

    Raises:
        PlanError: it cannot run as it is written.
    """
    workflow = load_workflow(path, translate_runtime=step_command)
    plan = replace(workflow.plan, **options)
    check_plan(plan)
    return replace(workflow, plan=plan)


def read_offers(*, local: bool) -> list[MachineOffer]:
    """Read the price list of the cloud that the command line names.

    Raises:
        CredentialsError: credentials are missing or refused.
        CloudError: the list cannot be read.
        LightningNativeError: lightning-sdk is not installed.
    """
    with chosen_cloud(local=local):
        from lightning_native.lightning.offers import fetch_offers
        from lightning_native.lightning.session import open_teamspace

        return fetch_offers(open_teamspace())


def python_difference(plan: RunPlan, *, local: bool) -> str:
    """Return a warning if the machines have another Python than this process, or an empty text.

    Raises:
        UsageError: a variable names an impossible version of Python.
    """
    if not local:
        return difference_at_submission(plan, os.environ)
    root = default_root()
    environ = read_environ(root)
    if environ is None:
        # No cloud runs yet; it will be started with this process's Python.
        return ""
    return difference_at_submission(plan, controller_environment({**environ, "LIGHTNING_NATIVE_CLOUD_ROOT": str(root)}))


@dataclass(frozen=True)
class Money:
    """The limits of a run's cost: the account's balance, and what is left of the teamspace's monthly budget."""

    balance: float | None = None
    monthly_left: float | None = None


def read_money(*, local: bool) -> Money:
    """Read what limits the cost of a run on the cloud that the command line names.

    Raises:
        CredentialsError: credentials are missing.
        LightningNativeError: lightning-sdk is not installed.
    """
    with chosen_cloud(local=local), Journal() as journal:
        from lightning_native.lightning.session import cloud_name, connect

        cloud = cloud_name()
        monthly = monthly_budget(journal, cloud)
        left = None if monthly is None else monthly - spent_since(journal, cloud, month_begin())
        try:
            return Money(connect().balance(), left)
        except CloudError:
            # The balance is a warning only.
            return Money(None, left)


def check_money(plan: RunPlan, expected: Estimate, money: Money) -> str:
    """Refuse a run that is expected to cost more than its budget, and return a warning about the balance.

    Raises:
        PlanError: the run is, or more than is left of the teamspace's budget.
    """
    check_budget(plan.budget, expected)
    check_budget(money.monthly_left, expected, whose="what is left of the teamspace's budget for this month,")
    return balance_warning(money.balance, expected)


def expected_cost(
    plan: RunPlan,
    offers: list[MachineOffer],
    *,
    prepare_seconds: float = PREPARE_SECONDS,
    boot_seconds: float = BOOT_SECONDS,
) -> Estimate:
    """Return the estimate of a run, with the durations of earlier ones."""
    with Journal() as journal:
        durations = journal.step_durations(plan.name)
    return estimate(
        plan, durations=durations, offers=offers, prepare_seconds=prepare_seconds, boot_seconds=boot_seconds
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
