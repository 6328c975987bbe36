"""One run from its plan to its end: every step in one terminal state, every lease released."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lightning_native.engine.attempts import run_attempts
from lightning_native.engine.executor import Cancellation, StepResult, execute
from lightning_native.engine.journal import Journal, RunState
from lightning_native.engine.placements.base import Placement, RunContext
from lightning_native.engine.placements.job import JobPlacement
from lightning_native.engine.placements.studio import StudioPlacement
from lightning_native.engine.plan import PlacementName, StepPlan, check_plan
from lightning_native.engine.reconcile import release_leases
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import StaleControllerError
from lightning_native.lightning.cloud import Cloud

_PLACEMENTS: dict[PlacementName, Callable[[RunContext], Placement]] = {"studio": StudioPlacement, "job": JobPlacement}


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
    cloud: Cloud,
    cloud_name: str,
    journal: Journal,
    cancellation: Cancellation | None = None,
    step_ended: Callable[[str, StepResult], object] = lambda _name, _result: None,
) -> RunResult:
    """Run the plan in `folder` to its end.

    Args:
        folder: made by `RunFolder.write`. If a controller died over it, its steps that succeeded are not repeated, and
            those that run are attached to.
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
    run_journal = journal.drive(plan.run_id, plan.name, cloud_name, os.getpid(), [step.name for step in plan.steps])
    before = {record.name: record for record in journal.steps(plan.run_id)}
    context = RunContext(plan, cloud, cloud_name, run_journal, folder, folder.environments(), cancellation)
    placement = _PLACEMENTS[plan.placement](context)

    def run_step(step: StepPlan) -> StepResult:
        return run_attempts(
            step,
            before[step.name].attempt,
            run_attempt=placement.run_attempt,
            journal=run_journal,
            cancellation=cancellation,
        )

    def settle(name: str, result: StepResult) -> None:
        run_journal.step_ended(name, result.state, result.exit_code, result.message, result.cost, result.seconds)
        placement.step_ended(name)
        step_ended(name, result)

    results: dict[str, StepResult] = {}
    too_late = f"it ran longer than its limit of {plan.timeout} s"
    alarm = threading.Timer(plan.timeout, cancellation.request, [too_late]) if plan.timeout else None
    try:
        if alarm:
            alarm.daemon = True
            alarm.start()
        placement.prepare()
        results = execute(
            plan,
            run_step=run_step,
            stop_running=placement.stop_running,
            ended=settle,
            cancellation=cancellation,
            done={name: StepResult("succeeded", 0) for name, record in before.items() if record.state == "succeeded"},
            durations=journal.step_durations(plan.name),
        )
    except StaleControllerError:
        # What this run holds belongs to the controller that has taken over.
        raise
    except BaseException:
        placement.close()
        release_leases(run_journal, cloud)
        raise
    finally:
        if alarm:
            alarm.cancel()
    placement.close()
    left = release_leases(run_journal, cloud)
    folder.discard_secrets()
    state, message = _verdict(results, cancellation)
    if left:
        message = f"{message}; not released: {', '.join(left)} (release them with: lightning-native gc)".lstrip("; ")
    run_journal.end(state, message)
    return RunResult(state, results, message, tuple(left))


def _verdict(results: dict[str, StepResult], cancellation: Cancellation) -> tuple[RunState, str]:
    failed = [name for name, result in results.items() if result.state == "failed"]
    if failed:
        return "failed", "; ".join(f"step {name}: {results[name].message}" for name in failed)
    if cancellation.requested or any(result.state == "stopped" for result in results.values()):
        return "stopped", cancellation.reason
    return "completed", ""
