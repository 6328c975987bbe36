"""`lightning-native run`: a workflow from its file to its end, with nothing left running."""

import argparse
import json
import os
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from typing import get_args

from lightning_native.cli.options.quiet import add_quiet_option
from lightning_native.cli.options.workflow_file import (
    Money,
    add_workflow_arguments,
    check_money,
    expected_cost,
    overrides,
    python_difference,
    read_money,
    read_offers,
    read_workflow,
)
from lightning_native.cli.text.messages import show_error, show_warning
from lightning_native.cli.text.table import format_table
from lightning_native.engine.display.summary import summary_of
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.process.client_signals import ending_signals_interrupt
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.record.budgets import has_monthly_budgets
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.origin import OnTerminate, Origin
from lightning_native.engine.record.records import RunRecord, StepRecord
from lightning_native.engine.record.reuse import reuse_steps
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import RunFailedError, RunStoppedError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import default_root
from lightning_native.units import human_bytes, human_dollars, human_seconds
from lightning_native.workflow.loader import Workflow, resolve_machines

EXAMPLE = "lightning-native run workflow.yaml --local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_workflow_arguments(parser)
    parser.add_argument("--detach", action="store_true", help="do not wait: a process on this machine drives the run")
    parser.add_argument(
        "--on-terminate",
        choices=get_args(OnTerminate),
        help="on SIGTERM or SIGHUP, stop the run or let it go on, instead of the file's (default: stop)",
    )
    add_quiet_option(parser)
    parser.add_argument("--json", action="store_true", help="print how it ended as JSON")


def run(args: argparse.Namespace) -> int:
    """Run a workflow; 0 only if every step succeeded."""
    with ending_signals_interrupt():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    workflow = read_workflow(args)
    origin = Origin(
        local_cloud=str(default_root()) if args.local else None,
        on_terminate=args.on_terminate or workflow.on_terminate,
        workflow=str(args.workflow.absolute()),
        options=overrides(args),
    )
    return run_workflow(workflow, origin, local=args.local, detach=args.detach, as_json=args.json, quiet=args.quiet)


def run_workflow(
    workflow: Workflow,
    origin: Origin,
    *,
    local: bool,
    detach: bool,
    as_json: bool,
    quiet: bool,
    reused: Collection[str] = (),
    earlier: str = "",
) -> int:
    """Run a workflow that was read; 0 only if every step succeeded.

    Args:
        workflow: the workflow.
        origin: the way in which it is started.
        local: whether it runs on the local cloud.
        detach: whether to return without waiting.
        as_json: whether to print JSON.
        quiet: whether to show nothing of it but its end.
        reused: the steps that are not run, because they succeeded in the run `earlier`.
        earlier: that run's id.
    """
    for warning in workflow.warnings:
        show_warning(warning)
    environ = {} if local else Credentials.from_environment(os.environ).environ()
    if difference := python_difference(workflow.plan, local=local):
        show_warning(difference)
    money = read_money(local=local) if _may_be_limited(workflow) else Money()
    if workflow.needs_offers or workflow.plan.budget is not None or money.monthly_left is not None:
        offers = read_offers(local=local)
        workflow = resolve_machines(workflow, offers)
        expected = expected_cost(_without(workflow.plan, reused), offers)
        if warning := check_money(workflow.plan, expected, money):
            show_warning(warning)
    controller = _start(workflow, origin, environ, detach=detach, reused=reused, earlier=earlier)
    run_id = workflow.plan.run_id
    if detach:
        print(
            f"driven by process {controller.pid}; see it with: lightning-native runs show {run_id[:12]}",
            file=sys.stderr,
        )
        print(json.dumps({"run_id": run_id}) if as_json else run_id)
        return 0
    try:
        controller.wait(quiet=quiet)
        message = ""
    except (RunFailedError, RunStoppedError) as error:
        message = str(error)
    with Journal() as journal:
        record, steps = journal.run(run_id), journal.steps(run_id)
        summary = summary_of(journal, run_id)
    if as_json:
        print(json.dumps(_described(run_id, record, steps, message), indent=1))
    elif steps:
        print(_table(steps))
    elif record and not message:
        print(f"{record.message}; see its runs with: lightning-native schedules")
    if steps:
        print(summary, file=sys.stderr)
    if message:
        # It ends with the user's exception, which is what people look for.
        show_error(message)
    return 1 if message else 0


def _without(plan: RunPlan, steps: Collection[str]) -> RunPlan:
    """Return a plan without some steps that have no upstream steps but each other."""
    left = (
        replace(step, upstream=tuple(other for other in step.upstream if other not in steps))
        for step in plan.steps
        if step.name not in steps
    )
    return replace(plan, steps=tuple(left))


def _may_be_limited(workflow: Workflow) -> bool:
    """Return whether the run has a budget, or any teamspace of this home has."""
    if workflow.plan.budget is not None:
        return True
    with Journal() as journal:
        return has_monthly_budgets(journal)


def _start(
    workflow: Workflow,
    origin: Origin,
    environ: dict[str, str],
    *,
    detach: bool,
    reused: Collection[str],
    earlier: str,
) -> ControllerProcess:
    plan = workflow.plan
    folder = RunFolder.of(plan.run_id)
    report = folder.write(plan, workflow.root, workflow.variables, origin=origin)
    try:
        if reused:
            with Journal() as journal:
                reuse_steps(journal, plan.run_id, reused, earlier)
        print(
            f"run {plan.run_id[:12]} of {plan.name}: {len(plan.steps)} steps, "
            f"{report.files} files ({human_bytes(report.bytes_out)})",
            file=sys.stderr,
        )
        return ControllerProcess(folder, plan, environ=environ, synchronous=not detach)
    except BaseException:
        folder.discard_secrets()
        with Journal() as journal:
            journal.forget(plan.run_id)
        raise


def _seconds(step: StepRecord) -> float | None:
    return None if step.started is None else round((step.ended or time.time()) - step.started, 3)


def _table(steps: list[StepRecord]) -> str:
    rows = [["step", "state", "machine", "time", "cost", ""]]
    for step in steps:
        seconds = _seconds(step)
        times = "" if seconds is None else human_seconds(seconds)
        cost = "" if step.cost is None else human_dollars(step.cost)
        rows.append([step.name, step.state, step.machine or "", times, cost, (step.message.splitlines() or [""])[0]])
    return format_table(rows, right=(3, 4))


def _described(run_id: str, record: RunRecord | None, steps: list[StepRecord], message: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "state": record.state if record else "failed",
        "message": message,
        "steps": [
            {
                "step": step.name,
                "state": step.state,
                "machine": step.machine,
                "seconds": _seconds(step),
                "exit_code": step.exit_code,
                "message": step.message,
            }
            for step in steps
        ],
    }
