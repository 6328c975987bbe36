"""`lightning-native run`: a workflow from its file to its end, with nothing left running."""

import argparse
import json
import os
import signal
import sys
import time

from lightning_native.cli.options.workflow_file import (
    Money,
    add_workflow_arguments,
    check_money,
    expected_cost,
    python_difference,
    read_money,
    read_offers,
    read_workflow,
)
from lightning_native.cli.text.table import format_table
from lightning_native.cli.text.units import human_bytes
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.record.budgets import has_monthly_budgets
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord, StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import RunFailedError, RunStoppedError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import default_root
from lightning_native.workflow.loader import Workflow, resolve_machines

EXAMPLE = "lightning-native run workflow.yaml --local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_workflow_arguments(parser)
    parser.add_argument("--detach", action="store_true", help="do not wait: a process on this machine drives the run")
    parser.add_argument("--json", action="store_true", help="print how it ended as JSON")


def run(args: argparse.Namespace) -> int:
    """Run a workflow; 0 only if every step succeeded."""
    workflow = read_workflow(args)
    for warning in workflow.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    environ = {} if args.local else Credentials.from_environment(os.environ).environ()
    if difference := python_difference(workflow.plan, local=args.local):
        print(f"warning: {difference}", file=sys.stderr)
    money = read_money(local=args.local) if _may_be_limited(workflow) else Money()
    if workflow.needs_offers or workflow.plan.budget is not None or money.monthly_left is not None:
        offers = read_offers(local=args.local)
        workflow = resolve_machines(workflow, offers)
        if warning := check_money(workflow.plan, expected_cost(workflow.plan, offers), money):
            print(f"warning: {warning}", file=sys.stderr)
    controller = _start(workflow, environ, args)
    run_id = workflow.plan.run_id
    if args.detach:
        print(
            f"driven by process {controller.pid}; see it with: lightning-native runs show {run_id[:12]}",
            file=sys.stderr,
        )
        print(json.dumps({"run_id": run_id}) if args.json else run_id)
        return 0
    try:
        controller.wait()
        message = ""
    except (RunFailedError, RunStoppedError) as error:
        message = str(error)
    with Journal() as journal:
        record, steps = journal.run(run_id), journal.steps(run_id)
    if args.json:
        print(json.dumps(_described(run_id, record, steps, message), indent=1))
    elif steps:
        print(_summary(steps))
    elif record and not message:
        print(f"{record.message}; see its runs with: lightning-native schedules")
    if message:
        print(f"error: {message}", file=sys.stderr)
    print(f"see it again with: lightning-native runs show {run_id[:12]}", file=sys.stderr)
    return 1 if message else 0


def _may_be_limited(workflow: Workflow) -> bool:
    """Return whether the run has a budget, or any teamspace of this home has."""
    if workflow.plan.budget is not None:
        return True
    with Journal() as journal:
        return has_monthly_budgets(journal)


def _start(workflow: Workflow, environ: dict[str, str], args: argparse.Namespace) -> ControllerProcess:
    plan = workflow.plan
    folder = RunFolder.of(plan.run_id)
    report = folder.write(plan, workflow.root, workflow.variables)
    try:
        print(
            f"run {plan.run_id[:12]} of {plan.name}: {len(plan.steps)} steps, "
            f"{report.files} files ({human_bytes(report.bytes_out)})",
            file=sys.stderr,
        )
        if not args.detach:
            # A SIGTERM to this command ends the run, as Ctrl-C does.
            signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        return ControllerProcess(
            folder,
            plan,
            local_cloud=default_root() if args.local else None,
            environ=environ,
            synchronous=not args.detach,
        )
    except BaseException:
        folder.discard_secrets()
        with Journal() as journal:
            journal.forget(plan.run_id)
        raise


def _seconds(step: StepRecord) -> float | None:
    return None if step.started is None else round((step.ended or time.time()) - step.started, 3)


def _summary(steps: list[StepRecord]) -> str:
    rows = [["step", "state", "machine", "seconds", ""]]
    for step in steps:
        seconds = _seconds(step)
        shown = "" if seconds is None else f"{seconds:.1f}"
        rows.append([step.name, step.state, step.machine or "", shown, (step.message.splitlines() or [""])[0]])
    return format_table(rows, right=(3,))


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
