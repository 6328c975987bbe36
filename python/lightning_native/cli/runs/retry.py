"""`runs retry`: what did not succeed in an ended run runs again, in a new run that reuses the rest."""

import argparse
import sys
from pathlib import Path

from lightning_native.cli.options.quiet import add_quiet_option
from lightning_native.cli.options.workflow_file import overridden_workflow
from lightning_native.cli.run import run_workflow
from lightning_native.cli.runs.place import find_run
from lightning_native.cli.text.messages import show_warning
from lightning_native.engine.process.client_signals import ending_signals_interrupt
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.records import RunRecord
from lightning_native.engine.record.reuse import reusable_steps
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError


def add_retry_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--from", dest="again_from", action="append", default=[], metavar="STEP", help="also this step and all after it"
    )
    add_quiet_option(parser)
    parser.add_argument("--detach", action="store_true", help="do not wait: a process on this machine drives the run")


def retry_run(journal: Journal, args: argparse.Namespace) -> int:
    """Start the new run of a workflow or a pipeline, and return 0 if it completed."""
    record = find_run(journal, args.run_id)
    folder = RunFolder.of(record.run_id)
    short = record.run_id[:12]
    if folder.is_driven():
        raise PlanError(f"run {short} is driven now; follow it with: lightning-native runs logs -f {short}")
    if record.state == "running":
        raise PlanError(f"run {short} has not ended; drive it on with: lightning-native runs resume {short}")
    if record.state == "completed" and not args.again_from:
        raise PlanError(f"run {short} has completed; name the step from which it is to run again with --from STEP")
    origin = folder.origin()
    if pipeline_run := _pipeline_run(origin):
        from lightning_native.zenml.submit.replay import replay

        return replay(pipeline_run, origin.root, again_from=args.again_from)
    if origin.workflow is None:
        raise PlanError(
            f"run {short} was started by a program, and not from a workflow file or a pipeline; start it there again"
        )
    return _retry_workflow(journal, record, folder, origin, args)


def _pipeline_run(origin: Origin) -> str | None:
    """Return ZenML's id of the run that a controller publishes to."""
    arguments = origin.controller
    return arguments[arguments.index("--pipeline-run") + 1] if "--pipeline-run" in arguments else None


def _retry_workflow(
    journal: Journal, record: RunRecord, folder: RunFolder, origin: Origin, args: argparse.Namespace
) -> int:
    workflow = overridden_workflow(Path(origin.workflow or ""), origin.options)
    states = {step.name: step.state for step in journal.steps(record.run_id)}
    reused = reusable_steps(folder.plan(), states, workflow.plan, again_from=args.again_from)
    again = [step.name for step in workflow.plan.steps if step.name not in reused]
    if not again:
        raise PlanError(f"nothing of run {record.run_id[:12]} is to be run again; name a step with --from STEP")
    print(f"again: {', '.join(again)}; reused: {', '.join(reused) or 'nothing'}", file=sys.stderr)
    if workflow.plan.capabilities.shares_machines and workflow.plan.main_studio is None and reused:
        show_warning("files that reused steps left in the run's own studio are gone with it")
    with ending_signals_interrupt():
        return run_workflow(
            workflow,
            origin,
            local=origin.local_cloud is not None,
            detach=args.detach,
            as_json=args.json,
            quiet=args.quiet,
            reused=reused,
            earlier=record.run_id,
        )
