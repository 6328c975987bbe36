"""`lightning-native plan`: the estimate of a workflow or pipeline. Nothing is created, and it costs nothing."""

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning_native import select_files
from lightning_native.cli.options.workflow_file import (
    BOOT_SECONDS,
    PREPARE_SECONDS,
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
from lightning_native.cli.text.table import format_table
from lightning_native.engine.planning.budget_check import balance_warning
from lightning_native.engine.planning.estimate import Estimate
from lightning_native.engine.planning.machine_choice import MachineOffer
from lightning_native.errors import CloudError, CredentialsError, UsageError
from lightning_native.units import human_dollars, human_seconds
from lightning_native.workflow.loader import Workflow, resolve_machines

EXAMPLE = "lightning-native plan workflow.yaml --local\n  lightning-native plan run.py:my_pipeline"
# A Python file, and the name of a pipeline in it.
_PIPELINE = re.compile(r"(.+\.py)(?::(\w+))?")
_LATER = "a step that turns out to be cached when its upstream steps have ended takes no time and costs nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_workflow_arguments(
        parser, what="the workflow, such as workflow.yaml, or a ZenML pipeline, such as run.py:my_pipeline"
    )
    parser.add_argument(
        "--prepare-seconds",
        type=float,
        default=PREPARE_SECONDS,
        metavar="S",
        help=f"what setting up an environment takes; 0 if it is there already (default: {PREPARE_SECONDS:g})",
    )
    parser.add_argument(
        "--boot-seconds",
        type=float,
        default=BOOT_SECONDS,
        metavar="S",
        help=f"what a machine takes to start, where the price list does not say (default: {BOOT_SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show each step's machine, order, duration and cost."""
    if pipeline := _PIPELINE.fullmatch(str(args.workflow)):
        return _show_pipeline(args, Path(pipeline[1]), pipeline[2])
    workflow = read_workflow(args)
    files = len(select_files(workflow.root).files)
    offers, no_prices = _offers(args)
    requests = workflow.requests
    if offers:
        workflow = resolve_machines(workflow, offers)
    result = expected_cost(workflow.plan, offers, prepare_seconds=args.prepare_seconds, boot_seconds=args.boot_seconds)
    notes = [*([no_prices] if no_prices else []), *workflow.warnings, *_notes(result, prices=bool(offers))]
    notes += filter(None, [python_difference(workflow.plan, local=args.local)])
    requested = {step: str(request) for step, request in requests.items()}
    money = read_money(local=args.local) if offers else Money()
    notes += filter(None, [balance_warning(money.balance, result)])
    if args.json:
        print(json.dumps(_described(workflow, result, files, requested, notes), indent=1))
    else:
        print(_shown(workflow, result, files, requested, notes))
    check_money(workflow.plan, result, money)
    return 0


def _show_pipeline(args: argparse.Namespace, path: Path, name: str | None) -> int:
    """Show the plan of a ZenML pipeline on the active stack."""
    given = [option for option, value in overrides(args).items() if value]
    if given or args.local:
        option = "local" if args.local else given[0].replace("_", "-")
        raise UsageError(f"--{option} is for workflow files; a pipeline's is a setting of the pipeline or its stack")
    from lightning_native.zenml.submit.preview import preview

    found = preview(path, name)
    plan, offers = found.plan, found.offers
    if plan is None:
        print(json.dumps({"steps": [], "cached": found.cached}) if args.json else _all_cached(found.cached))
        return 0
    workflow = Workflow(plan, found.root, {}, {}, None, ())
    result = expected_cost(plan, offers, prepare_seconds=args.prepare_seconds, boot_seconds=args.boot_seconds)
    notes = [*([found.no_prices] if found.no_prices else []), *_notes(result, prices=bool(offers)), _LATER]
    files = len(select_files(found.root).files)
    if args.json:
        described = {**_described(workflow, result, files, {}, notes), "cached": found.cached}
        print(json.dumps(described, indent=1))
        return 0
    reused = [f"cached, and not run again: {', '.join(found.cached)}"] if found.cached else []
    print(_shown(workflow, result, files, {}, [*reused, *notes]))
    return 0


def _all_cached(steps: tuple[str, ...]) -> str:
    return f"every step is cached, so that nothing would run: {', '.join(steps)}"


def _offers(args: argparse.Namespace) -> tuple[list[MachineOffer], str]:
    try:
        return read_offers(local=args.local), ""
    except (CredentialsError, CloudError) as error:
        return [], f"without prices: {error}"


def _notes(result: Estimate, *, prices: bool) -> list[str]:
    notes = []
    if result.assumed:
        which = "no step has" if len(result.assumed) == len(result.steps) else f"{', '.join(result.assumed)} have not"
        notes.append(f"~ {which} run before: taken to last {human_seconds(result.assumed_seconds)}")
    if prices and result.unpriced:
        notes.append(f"the price list has no {', '.join(result.unpriced)}")
    if result.on_demand:
        which = ", ".join(result.on_demand)
        notes.append(f"{which}: on demand, because the machine is not offered, or no cheaper, as an interruptible one")
    return notes


def _machines(workflow: Workflow, step: str, machine: str, requested: dict[str, str]) -> str:
    if step in workflow.requests:
        return f"the cheapest with {requested[step]}"
    others = workflow.plan.step(step).machines[1:]
    return machine + (f" (else {', '.join(others)})" if others else "")


def _described(
    workflow: Workflow, result: Estimate, files: int, requested: dict[str, str], notes: list[str]
) -> dict[str, Any]:
    plan = workflow.plan
    steps = [
        {
            **asdict(row),
            "machine": None if row.step in workflow.requests else row.machine,
            "fallbacks": plan.step(row.step).machines[1:],
            "request": requested.get(row.step),
            "needs": plan.step(row.step).upstream,
        }
        for row in result.steps
    ]
    return {
        "name": plan.name,
        "placement": plan.placement,
        "root": str(workflow.root),
        "files": files,
        "budget": plan.budget,
        **asdict(result),
        "steps": steps,
        "notes": notes,
    }


def _shown(workflow: Workflow, result: Estimate, files: int, requested: dict[str, str], notes: list[str]) -> str:
    plan = workflow.plan
    rows = [["step", "machine", "start", "end", "seconds", "cost", "after"]]
    rows += [
        [
            row.step,
            _machines(workflow, row.step, row.machine, requested),
            _clock(row.start),
            _clock(row.end),
            f"{'' if row.known else '~'}{row.end - row.begin:.1f}",
            "shared" if row.cost is None and not _has_own_machine(result, row.machine) else human_dollars(row.cost),
            ", ".join(plan.step(row.step).upstream),
        ]
        for row in result.steps
    ]
    rows += [
        [f"({each.purpose})", each.machine, _clock(each.start), _clock(each.end), "", human_dollars(each.cost), ""]
        for each in result.shared
    ]
    total = "at an unknown price" if result.total_cost is None else f"for {human_dollars(result.total_cost)}"
    headline = (
        f"{plan.name}: {len(plan.steps)} steps as placement {plan.placement}, "
        f"up to {result.most_at_once} at once; {files} files from {workflow.root}"
    )
    ending = f"about {human_seconds(result.makespan)} {total}; the longest path is {' → '.join(result.critical_path)}"
    if plan.budget is not None:
        ending += f"; its budget is {human_dollars(plan.budget)}"
    lines = [headline, "", format_table(rows, right=(2, 3, 4, 5)), "", ending, *notes]
    return "\n".join(lines)


def _has_own_machine(result: Estimate, machine: str) -> bool:
    return not any(each.purpose == "main studio" and each.machine == machine for each in result.shared)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
