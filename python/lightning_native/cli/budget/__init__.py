"""`lightning-native budget`: the most dollars that the runs of this home may cost in a teamspace in a month."""

import argparse
import json
import re

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.engine.record.budgets import (
    clear_monthly_budget,
    month_begin,
    monthly_budget,
    set_monthly_budget,
)
from lightning_native.engine.record.costs import spent_since
from lightning_native.engine.record.journal import Journal
from lightning_native.errors import LightningNativeError, UsageError
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.units import human_dollars

EXAMPLE = "lightning-native budget set 50/month"

_AMOUNT = re.compile(r"\$?(\d+(?:\.\d+)?)(?:/month)?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="show")
    set_ = commands.add_parser("set", help="limit what the runs of this home may cost in a calendar month")
    set_.add_argument("amount", metavar="DOLLARS/month", help="such as 50/month")
    show = commands.add_parser("show", help="show the budget, and what the month has cost (also without an action)")
    clear = commands.add_parser("clear", help="remove the budget")
    add_cloud_option(parser, set_, show, clear)
    for command in (parser, set_, show, clear):
        command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    amount = _AMOUNT.fullmatch(args.amount) if args.action == "set" else None
    if args.action == "set" and (amount is None or not 0 < float(amount[1]) < float("inf")):
        raise UsageError(f"{args.amount!r} is no budget; write dollars above 0 for a month, such as 50/month")
    with chosen_cloud(local=args.local), Journal() as journal:
        cloud = cloud_name()
        if amount is not None:
            set_monthly_budget(journal, cloud, float(amount[1]))
        elif args.action == "clear":
            clear_monthly_budget(journal, cloud)
        budget, spent = monthly_budget(journal, cloud), spent_since(journal, cloud, month_begin())
        balance = _balance() if args.action == "show" else None
    if args.json:
        print(json.dumps({"cloud": cloud, "monthly_budget": budget, "spent": spent, "balance": balance}))
        return 0
    limit = "no budget" if budget is None else f"{human_dollars(budget)} a month"
    print(f"{cloud}: {limit}; the runs of this home have cost {human_dollars(spent)} this month")
    if balance is not None:
        print(f"balance: {human_dollars(balance)}, as Lightning tells, which is wrong for some accounts")
    return 0


def _balance() -> float | None:
    try:
        return connect().balance()
    except LightningNativeError:
        # Only a detail: the budget is this home's own.
        return None
