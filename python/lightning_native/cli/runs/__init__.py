"""`lightning-native runs`: list, show, compare, report, follow, await, stop, resume, retry and prune runs."""

import argparse
import json
import sys
import time
import webbrowser
from pathlib import Path

from lightning_native.cli.options.cloud import add_cloud_option
from lightning_native.cli.options.confirmation import add_yes_option, confirmed
from lightning_native.cli.runs.compare import compare
from lightning_native.cli.runs.costs import GROUPS, show_costs
from lightning_native.cli.runs.here import RunHere
from lightning_native.cli.runs.listing import add_list_arguments, list_runs
from lightning_native.cli.runs.place import find_run, location_of, reach_run
from lightning_native.cli.runs.prune import add_prune_arguments, prune_runs
from lightning_native.cli.runs.retry import add_retry_arguments, retry_run
from lightning_native.cli.runs.view import RunView
from lightning_native.cli.text.messages import show_hint
from lightning_native.cli.text.output import write_output
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError, UsageError
from lightning_native.home import home, private_folder

__all__ = ["EXAMPLE", "add_arguments", "find_run", "run"]

EXAMPLE = "lightning-native runs show 3f2a"

RUN_HELP = "a run's id or the beginning of one, the name of the newest such run, or `last`"
_MOST_COMPLETED = 50
_POLL_SECONDS = 0.02
# The longest that a new run needs to appear in the journal.
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
    # For `RemoteController`, which calls this command in the studio of a controller.
    wait.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    stop = commands.add_parser("stop", help="stop a run and wait until it has released what it held")
    stop.add_argument("--graceful", action="store_true", help="let the steps that run end first")
    resume = commands.add_parser(
        "resume", help="drive on a run whose controlling process died, or that was out of funds; repeats nothing"
    )
    retry = commands.add_parser("retry", help="run what did not succeed again, in a new run that reuses the rest")
    add_retry_arguments(retry)
    costs = commands.add_parser("costs", help="show what runs have cost, by day, machine and pipeline")
    costs.add_argument("--days", type=float, metavar="N", help="only the last N days (default: all)")
    costs.add_argument("--by", action="append", choices=GROUPS, help="repeatable (default: all of them)")
    costs.add_argument("--csv", action="store_true", help="print CSV")
    outputs = commands.add_parser("outputs", help="list the outputs of a run's steps, or copy them to a folder")
    outputs.add_argument("--to", type=Path, metavar="DIR", help="copy the newest ones to this new or empty folder")
    outputs.add_argument("--attempt", metavar="N", help="only those of this attempt")
    report = commands.add_parser("report", help="write a self-contained HTML page about a run")
    report.add_argument("--output", type=Path, metavar="FILE", help="where to (default: RUN.html in this folder)")
    prune = commands.add_parser("prune", help="delete the folders of old runs: logs, outputs and plans")
    add_prune_arguments(prune)
    add_yes_option(stop)
    comparison = commands.add_parser("compare", help="show two runs side by side, step by step")
    opening = commands.add_parser("open", help="open the page about a run in the browser")
    for command in (parser, listing):
        add_list_arguments(command)
    for command in (parser, listing, show, wait, stop, resume, retry, outputs, costs, comparison):
        command.add_argument("--json", action="store_true", help="print JSON")
    one_run = (show, wait, logs, stop, resume, outputs, report, opening)
    about = "look for a run that this machine does not know on the local cloud"
    add_cloud_option(*one_run, comparison, about=about)
    for command in (*one_run, retry, comparison):
        _complete_runs(command.add_argument("run_id", metavar="RUN", help=RUN_HELP))
    _complete_runs(comparison.add_argument("other", metavar="OTHER", help="the other run, in the same way"))
    outputs.add_argument("step", nargs="?", metavar="STEP", help="only this step")


def _complete_runs(argument: argparse.Action) -> None:
    def runs(**_: object) -> list[str]:
        with Journal() as journal:
            return ["last", *(record.run_id[:12] for record in journal.runs(_MOST_COMPLETED))]

    # argcomplete's way.
    argument.completer = runs  # type: ignore[attr-defined]


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    actions = {
        "list": list_runs,
        "compare": _compare,
        "open": _open,
        "show": _show,
        "wait": _wait,
        "logs": _logs,
        "stop": _stop,
        "resume": _resume,
        "outputs": _outputs,
        "report": _report,
        "costs": _costs,
        "prune": prune_runs,
        "retry": retry_run,
    }
    with Journal() as journal:
        return actions[args.action](journal, args)


def _costs(journal: Journal, args: argparse.Namespace) -> int:
    if args.days is not None and not 0 < args.days < float("inf"):
        raise UsageError(f"--days {args.days:g} is no number of days above 0")
    if args.csv and args.json:
        raise UsageError("--csv and --json are two forms; take one")
    return show_costs(journal, days=args.days, by=args.by or GROUPS, as_json=args.json, as_csv=args.csv)


def _show(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        found.view().print(as_json=args.json)
    return 0


def _wait(journal: Journal, args: argparse.Namespace) -> int:
    deadline = float("inf") if args.timeout is None else time.monotonic() + args.timeout
    begun_by = min(deadline, time.monotonic() + _BEGIN_SECONDS)
    while (
        not journal.runs_like(args.run_id) and RunFolder.of(args.run_id).path.exists() and time.monotonic() < begun_by
    ):
        time.sleep(_POLL_SECONDS)
    while True:
        with reach_run(journal, args.run_id, local=args.local, only_here=args.here) as found:
            view = found.wait(deadline)
            moved = isinstance(found, RunHere) and not args.here and view.run.state == "running"
            if moved and not view.is_driven and location_of(view.run) is not None and time.monotonic() < deadline:
                # The run's controller has moved to a studio meanwhile.
                continue
        view.print(as_json=args.json)
        return 0 if view.run.state == "completed" else 1


def _logs(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        return found.print_logs(args.step, follow=args.follow)


def _outputs(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        return found.print_outputs(args.step, to=args.to, attempt=args.attempt, as_json=args.json)


def _report(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        view = found.view()
    output = args.output or Path(f"{view.run.run_id}.html")
    write_output(output, _page(view))
    print(output)
    return 0


def _page(view: RunView) -> str:
    from lightning_native.report import read_report, render

    return render(read_report(view.run, view.steps, view.leases, view.events, view.cost))


def _open(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        view = found.view()
    page = private_folder(home() / "reports") / f"{view.run.run_id}.html"
    write_output(page, _page(view))
    print(page)
    if not webbrowser.open(page.as_uri()):
        show_hint("no browser could be started here; open the file in one")
    return 0


def _compare(journal: Journal, args: argparse.Namespace) -> int:
    views = []
    for run in (args.run_id, args.other):
        with reach_run(journal, run, local=args.local) as found:
            views.append(found.view())
    return compare(*views, as_json=args.json)


def _stop(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        run_id, before = found.run_id, found.view()
        if not before.is_driven:
            why = "is not driven by any process" if before.run.state == "running" else "has ended already"
            print(f"run {run_id} {why}; it is {before.run.state}", file=sys.stderr)
            if args.json:
                print(json.dumps({"run_id": run_id, "state": before.run.state}))
            return 0 if before.run.state != "running" else 1
        wanted = confirmed([f"run {run_id} of {found.name}: to stop"], yes=args.yes)
        if wanted:
            found.stop(graceful=args.graceful)
    if wanted and isinstance(found, RunHere) and location_of(before.run) is not None:
        # The run's controller has moved to a studio meanwhile.
        with reach_run(journal, run_id, local=args.local) as there:
            there.stop(graceful=args.graceful)
    state = _state_after(journal, args)
    if args.json:
        print(json.dumps({"run_id": run_id, "state": state}))
    elif wanted:
        print(f"run {run_id} is {state}")
    return 0 if wanted else 1


def _state_after(journal: Journal, args: argparse.Namespace) -> str:
    try:
        with reach_run(journal, args.run_id, local=args.local) as found:
            return found.view().run.state
    except PlanError:
        # Another machine submitted the run, so this one knows nothing about it once its controller is gone.
        return "gone"


def _resume(journal: Journal, args: argparse.Namespace) -> int:
    with reach_run(journal, args.run_id, local=args.local) as found:
        found.resume()
    # The run's controller may be in a studio now.
    with reach_run(journal, args.run_id, local=args.local) as found:
        found.view().print(as_json=args.json)
    return 0
