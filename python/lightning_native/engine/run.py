"""One run from its plan to its end: every step in one terminal state, every lease released."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from lightning_native.engine.executor import Cancellation, StepResult, execute
from lightning_native.engine.journal import Journal, RunState
from lightning_native.engine.layout import studio_layout
from lightning_native.engine.placements.studio import StudioPlacement
from lightning_native.engine.plan import check_plan
from lightning_native.engine.reconcile import release_leases
from lightning_native.engine.run_folder import RunFolder
from lightning_native.lightning.studios import StudioCloud


@dataclass(frozen=True)
class RunResult:
    """How a run ended, and what could not be released (names of studios; empty when all is well)."""

    state: RunState
    steps: dict[str, StepResult]
    message: str
    left: tuple[str, ...]


def run(
    folder: RunFolder,
    *,
    cloud: StudioCloud,
    cloud_name: str,
    journal: Journal,
    cancellation: Cancellation | None = None,
    step_ended: Callable[[str, StepResult], object] = lambda _name, _result: None,
) -> RunResult:
    """Run the plan in `folder` to its end.

    Args:
        folder: made by `RunFolder.write`.
        cloud: where studios come from.
        cloud_name: what the journal calls that place.
        journal: where everything is recorded.
        cancellation: request it to stop the run.
        step_ended: told of each step's end.

    Raises:
        PlanError: the plan cannot run as it is written; nothing was created.

    """
    cancellation = cancellation or Cancellation()
    plan = folder.plan()
    check_plan(plan)
    studios = studio_layout(plan)
    journal.begin_run(plan.run_id, plan.name, cloud_name, os.getpid(), [step.name for step in plan.steps])
    placement = StudioPlacement(
        plan,
        studios,
        cloud=cloud,
        journal=journal,
        folder=folder,
        environments=folder.environments(),
        cancellation=cancellation,
    )

    def settle(name: str, result: StepResult) -> None:
        journal.step_ended(plan.run_id, name, result.state, result.exit_code, result.message)
        step_ended(name, result)

    results: dict[str, StepResult] = {}
    try:
        placement.prepare()
        results = execute(
            plan,
            run_step=placement.run_step,
            stop_running=placement.stop_running,
            ended=settle,
            cancellation=cancellation,
        )
    finally:
        placement.close()
        left = release_leases(journal, cloud, plan.run_id)
        folder.discard_secrets()
    state, message = _verdict(results, cancellation)
    if left:
        message = f"{message}; not released: {', '.join(left)} (see: lightning-native runs)".lstrip("; ")
    journal.end_run(plan.run_id, state, message)
    return RunResult(state, results, message, tuple(left))


def _verdict(results: dict[str, StepResult], cancellation: Cancellation) -> tuple[RunState, str]:
    failed = [name for name, result in results.items() if result.state == "failed"]
    if failed:
        return "failed", "; ".join(f"step {name}: {results[name].message}" for name in failed)
    if cancellation.requested:
        return "stopped", "the run was stopped"
    return "completed", ""
