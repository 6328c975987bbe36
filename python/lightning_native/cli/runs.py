"""`lightning-native runs`: what ran, how it ended, what it holds, what it printed; wait for it, stop it, resume it."""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from lightning_native.cli.output import write_output
from lightning_native.confirmation import add_yes_option, confirmed
from lightning_native.engine.follow import LogFollower
from lightning_native.engine.journal import Journal, RunRecord
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.errors import PlanError
from lightning_native.lightning.credentials import Credentials
from lightning_native.terminal import clean, one_line, show_output

EXAMPLE = "lightning-native runs show 3f2a"

_REFRESH_SECONDS = 0.1
# Who waits for an end has something to do then.
_LOOK_SECONDS = 0.02
# How long a run that was just started may take to be in the journal.
_BEGIN_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list")
    listing = commands.add_parser("list", help="list the newest runs (also without an action)")
    show = commands.add_parser("show", help="show a run's steps, what they cost, and what the run holds")
    logs = commands.add_parser("logs", help="print what a run's steps printed")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    logs.add_argument("--step", metavar="NAME", help="only this step, without its name before each line")
    wait = commands.add_parser("wait", help="wait until a run has ended, and show it; exit code 0 if it completed")
    wait.add_argument("--timeout", type=float, metavar="S", help="seconds to wait at most (default: no limit)")
    stop = commands.add_parser("stop", help="stop a run and wait until it has released what it held")
    resume = commands.add_parser("resume", help="drive a run on whose controlling process died; repeats nothing")
    report = commands.add_parser("report", help="write a self-contained HTML page about a run")
    report.add_argument("--output", type=Path, metavar="FILE", help="where to (default: RUN.html in this folder)")
    add_yes_option(stop)
    for command in (parser, listing):
        command.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    for command in (parser, listing, show, wait, stop, resume):
        command.add_argument("--json", action="store_true", help="print JSON")
    for command in (show, wait, logs, stop, resume, report):
        command.add_argument("run_id", metavar="RUN", help="a run's id, or the beginning of one")


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    actions = {
        "list": _list,
        "show": _show,
        "wait": _wait,
        "logs": _logs,
        "stop": _stop,
        "resume": _resume,
        "report": _report,
    }
    with Journal() as journal:
        return actions[args.action](journal, args)


def find_run(journal: Journal, prefix: str) -> RunRecord:
    """Return the one run whose id begins with a text.

    Raises:
        PlanError: there is none, or more than one.
    """
    matches = journal.runs_like(prefix) if prefix else []
    if len(matches) != 1:
        found = "no run" if not matches else f"{len(matches)} runs"
        raise PlanError(f"{found} in {journal.path} with an id that begins with {prefix!r}; see: lightning-native runs")
    return matches[0]


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
        print(f"{record['run_id']}  {record['state']:9}  {seconds:7.1f} s  {one_line(record['name'])}{left}")
    return 0


def _show(journal: Journal, args: argparse.Namespace) -> int:
    record = find_run(journal, args.run_id)
    steps, leases = journal.steps(record.run_id), journal.leases(record.run_id)
    events = journal.events(record.run_id)
    folder = RunFolder.of(record.run_id)
    if args.json:
        shown = {
            **asdict(record),
            "steps": [asdict(step) for step in steps],
            "leases": [asdict(lease) for lease in leases],
            "events": [asdict(event) for event in events],
        }
        print(json.dumps(shown, indent=1))
        return 0
    driven = f"driven by process {record.controller}" if folder.is_driven() else "not driven by any process"
    print(f"{one_line(record.name)}  {record.state}  {driven}\n{record.message}".rstrip())
    for step in steps:
        seconds = "" if step.started is None else f"{(step.ended or time.time()) - step.started:.1f} s"
        cost = "" if step.cost is None else f"${step.cost:.4f}"
        attempt = f"attempt {step.attempt}" if step.attempt > 1 else ""
        where = " on ".join(part for part in (step.place, step.machine) if part)
        parts = (f"{step.name:20} {step.state:9} {seconds:>9} {cost:>9}", where, attempt, step.message)
        print("  " + "  ".join(part for part in parts if part))
    costs = [step.cost for step in steps if step.cost is not None]
    if costs:
        print(f"  cost of {len(costs)} steps: ${sum(costs):.4f}")
    for event in events:
        print(f"  {time.strftime('%H:%M:%S', time.localtime(event.at))}  {event.step or ''}  {event.text}")
    for lease in leases:
        state = "released" if lease.released else f"NOT RELEASED ({lease.on_release} it with: lightning-native gc)"
        print(f"  {lease.kind} {lease.name}: {state}")
    print(f"  logs: {folder.path / 'logs'}")
    return 0


def _wait(journal: Journal, args: argparse.Namespace) -> int:
    deadline = float("inf") if args.timeout is None else time.monotonic() + args.timeout
    begun_by = min(deadline, time.monotonic() + _BEGIN_SECONDS)
    while (
        not journal.runs_like(args.run_id) and RunFolder.of(args.run_id).path.exists() and time.monotonic() < begun_by
    ):
        time.sleep(_LOOK_SECONDS)
    record = find_run(journal, args.run_id)
    folder = RunFolder.of(record.run_id)
    while record.state == "running" and folder.is_driven() and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        record = find_run(journal, record.run_id)
    _show(journal, args)
    return 0 if record.state == "completed" else 1


def _logs(journal: Journal, args: argparse.Namespace) -> int:
    record = find_run(journal, args.run_id)
    steps = [step.name for step in journal.steps(record.run_id)]
    if args.step and args.step not in steps:
        raise PlanError(f"run {record.run_id} has no step {args.step!r}; its steps are {', '.join(steps)}")

    def show(step: str, line: str) -> None:
        show_output(sys.stdout, f"{line}\n" if args.step else f"[{clean(step)}] {line}\n")

    folder = RunFolder.of(record.run_id)
    follower = LogFollower(folder, [args.step] if args.step else steps, show)
    while args.follow and folder.is_driven():
        follower.advance()
        time.sleep(_REFRESH_SECONDS)
    follower.finish()
    return 0


def _report(journal: Journal, args: argparse.Namespace) -> int:
    from lightning_native.report import read_report, render

    record = find_run(journal, args.run_id)
    output = args.output or Path(f"{record.run_id}.html")
    write_output(output, render(read_report(journal, record)))
    print(output)
    return 0


def _stop(journal: Journal, args: argparse.Namespace) -> int:
    record = find_run(journal, args.run_id)
    folder = RunFolder.of(record.run_id)
    if not folder.is_driven():
        print(f"run {record.run_id} is not driven by any process; it is {record.state}", file=sys.stderr)
        if args.json:
            print(json.dumps({"run_id": record.run_id, "state": record.state}))
        return 0 if record.state != "running" else 1
    wanted = confirmed([f"run {record.run_id} of {record.name}: to stop"], yes=args.yes)
    if wanted:
        # While the question was open, it may have ended, or another process may have taken it over.
        now = find_run(journal, record.run_id)
        if now.controller is None:
            # Its controller is just being started, and looks for this.
            folder.request_stop(graceful=False)
        elif folder.is_driven():
            os.kill(now.controller, signal.SIGTERM)
        while folder.is_driven():
            time.sleep(_REFRESH_SECONDS)
    after = journal.run(record.run_id)
    state = after.state if after else "gone"
    if args.json:
        print(json.dumps({"run_id": record.run_id, "state": state}))
    elif wanted:
        print(f"run {record.run_id} is {state}")
    return 0 if wanted else 1


def _resume(journal: Journal, args: argparse.Namespace) -> int:
    record = find_run(journal, args.run_id)
    folder = RunFolder.of(record.run_id)
    if folder.is_driven():
        raise PlanError(f"run {record.run_id} is driven by process {record.controller}; follow it with: runs logs -f")
    controller, local_cloud = folder.controller()
    environ = {} if local_cloud else Credentials.from_environment(os.environ).environ()
    watch = Watch(
        folder, folder.plan(), local_cloud=local_cloud, environ=environ, synchronous=True, controller=controller
    )
    watch.wait()
    return _show(journal, args)
