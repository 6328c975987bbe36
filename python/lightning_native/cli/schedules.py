"""`lightning-native schedules`: the schedules at Lightning, listed, changed, paused and deleted, with their runs."""

import argparse
import json
import re
import time

from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.cli.text.table import format_table
from lightning_native.engine.schedules import ScheduledPlan, list_schedules
from lightning_native.errors import PlanError
from lightning_native.lightning.cloud import Cloud
from lightning_native.lightning.session import connect

EXAMPLE = "lightning-native schedules change nightly --cron '30 6 * * 1-5' --timezone Europe/Zurich"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list")
    listing = commands.add_parser("list", help="list them (also without an action)")
    runs = commands.add_parser("runs", help="list the runs that a schedule made, oldest first")
    change = commands.add_parser("change", help="change when it runs")
    change.add_argument("--cron", metavar="EXPRESSION", help="minute, hour, day of the month, month, day of the week")
    change.add_argument("--timezone", metavar="ZONE", help="of the expression, such as Europe/Zurich")
    pause = commands.add_parser("pause", help="run it no more for now")
    resume = commands.add_parser("resume", help="run it again")
    delete = commands.add_parser("delete", help="delete it with its runs and its studios")
    for command in (runs, change, pause, resume, delete):
        command.add_argument("name", metavar="NAME", help="the schedule's name")
    add_yes_option(delete)
    for command in (parser, listing, runs, change, pause, resume, delete):
        add_cloud_option(command)
        command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    with chosen_cloud(local=args.local):
        return _act(connect(), args)


def _act(cloud: Cloud, args: argparse.Namespace) -> int:
    if args.action == "list":
        return _list(list_schedules(cloud), as_json=args.json)
    scheduled = _find(cloud, args.name)
    if args.action == "runs":
        return _runs(scheduled, as_json=args.json)
    if args.action == "delete":
        return _delete(scheduled, args)
    paused = {"pause": True, "resume": False}.get(args.action)
    if args.action == "change" and not args.cron and not args.timezone:
        raise PlanError("there is nothing to change; say --cron or --timezone")
    cron, timezone = getattr(args, "cron", None), getattr(args, "timezone", None)
    scheduled.update(cron=cron, timezone=timezone, paused=paused)
    done = {
        "name": scheduled.name,
        "cron": cron or scheduled.cron,
        "timezone": timezone or scheduled.timezone,
        "paused": scheduled.paused if paused is None else paused,
    }
    if args.json:
        print(json.dumps(done))
    else:
        print(f"{done['name']}: {done['cron']} {done['timezone']}, {'paused' if done['paused'] else 'active'}")
    return 0


def _delete(scheduled: ScheduledPlan, args: argparse.Namespace) -> int:
    wanted = confirmed([f"schedule {scheduled.name}: to delete with its runs and its studios"], yes=args.yes)
    if wanted:
        scheduled.delete()
    if args.json:
        print(json.dumps({"deleted": [scheduled.name] if wanted else []}))
    elif wanted:
        print(f"deleted schedule {scheduled.name}")
    return 0 if wanted else 1


def _find(cloud: Cloud, name: str) -> ScheduledPlan:
    """Return the schedule of a name, or the only one that ZenML knows by it."""
    schedules = list_schedules(cloud)
    same = [each for each in schedules if each.name == name]
    # ZenML's schedules have a part of their id after their name.
    found = same or [each for each in schedules if re.fullmatch(re.escape(name) + " [0-9a-f]{8}", each.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise PlanError(f"several schedules have this name; name one of: {', '.join(each.name for each in found)}")
    known = ", ".join(each.name for each in schedules) or "none"
    raise PlanError(f"there is no schedule {name!r}; there are: {known}")


def _list(schedules: list[ScheduledPlan], *, as_json: bool) -> int:
    described = [
        {"name": each.name, "cron": each.cron, "timezone": each.timezone, "paused": each.paused} for each in schedules
    ]
    if as_json:
        print(json.dumps(described, indent=1))
    elif described:
        rows = [[each.name, each.cron, each.timezone, "paused" if each.paused else "active"] for each in schedules]
        print(format_table(rows))
    return 0


def _runs(scheduled: ScheduledPlan, *, as_json: bool) -> int:
    runs = [(each.pipeline_id, each.created, each.state()) for each in scheduled.runs()]
    if as_json:
        print(
            json.dumps([dict(zip(("pipeline_id", "created", "state"), each, strict=True)) for each in runs], indent=1)
        )
        return 0
    for pipeline_id, created, state in runs:
        moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(created))
        print(f"{pipeline_id}  {state:9}  {moment}")
    return 0
