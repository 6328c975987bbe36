"""One run from its plan to its end: every step in one terminal state, every lease released."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.execution.attempts import run_attempts
from lightning_native.engine.execution.budget_watch import budget_watched
from lightning_native.engine.execution.executor import execute
from lightning_native.engine.leases import release_leases
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.placements.base import Placement, Results, Settle
from lightning_native.engine.placements.job_end import is_about_funds
from lightning_native.engine.plan import RunPlan, Schedule, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.reasons import timed_out
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState, StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.engine.schedules import create_schedule
from lightning_native.engine.step_records import StepRecords
from lightning_native.engine.studios.setup import report_difference
from lightning_native.errors import CloudError, StaleControllerError
from lightning_native.lightning.cloud import Cloud

Abandon = Callable[[str, str], None]


@dataclass(frozen=True)
class RunResult:
    """The end of a run; `left` has the names of the resources that could not be released."""

    state: RunState
    steps: dict[str, StepResult]
    message: str
    left: tuple[str, ...]

    @classmethod
    def of(cls, journal: Journal, run_id: str, message: str) -> "RunResult":
        """Read the end of a run from the journal; a run that has none, and no controller any more, has failed."""
        record = journal.run(run_id)
        return cls(
            record.state if record and record.state != "running" else "failed",
            {
                step.name: StepResult(step.state, step.exit_code, step.message, step.cost, step.seconds)
                for step in journal.steps(run_id)
            },
            (record.message if record else "") or message,
            tuple(lease.name for lease in journal.leases(run_id) if lease.released is None),
        )


def run_plan(
    folder: RunFolder,
    *,
    cloud: Cloud,
    cloud_name: str,
    journal: Journal,
    cancellation: Cancellation | None = None,
    step_ended: Callable[[str, StepResult], object] = lambda _name, _result: None,
    on_start: Callable[[Abandon], object] = lambda _abandon: None,
    records: StepRecords | None = None,
) -> RunResult:
    """Run the plan in `folder` to its end.

    Args:
        folder: a folder that `RunFolder.write` created. After a dead controller, the ended steps are not repeated, and
            the running ones are followed to their end.
        cloud: the cloud to run on.
        cloud_name: the cloud's name in the journal.
        journal: the journal for all records.
        cancellation: request it to stop the run.
        step_ended: called at each step's end.
        on_start: called before the first step, with the function that abandons a step's running attempt:
            `abandon(step, reason)`.
        records: of the steps, which the ends of attempts are compared with; None: there are no others.

    Raises:
        PlanError: the plan cannot run as it is written; nothing was created.

    """
    cancellation = cancellation or Cancellation()
    plan = folder.plan()
    check_plan(plan)
    steps = [] if plan.schedule else [step.name for step in plan.steps]
    run_journal = journal.drive(plan.run_id, plan.name, cloud_name, os.getpid(), steps)
    if run_journal.reopen(is_about_funds):
        run_journal.event("the run goes on after it was out of funds")
    variables, records = folder.variables(), records or StepRecords()
    context = RunContext(plan, cloud, cloud_name, run_journal, folder, variables, cancellation, records)
    report_difference(context)
    alarm = _alarm(plan, cancellation)
    try:
        if plan.schedule:
            results, verdict = {}, _schedule(context, plan.schedule)
        else:
            with budget_watched(context):
                results = _run_steps(context, step_ended, on_start)
            verdict = _verdict(results, cancellation)
    except StaleControllerError:
        # The run's leases belong to the controller that has taken the run over.
        raise
    except BaseException:
        release_leases(run_journal, cloud, soon=cancellation.requested)
        context.spending.close()
        raise
    finally:
        alarm.cancel()
    # A person who has stopped the run waits for its end; a time limit does not.
    left = release_leases(run_journal, cloud, soon=cancellation.requested and not cancellation.is_failure)
    context.spending.close()
    if not any(result.state == "failed" and is_about_funds(result.message) for result in results.values()):
        # Without the secrets no other controller can release what the journal does not know to be released.
        run_journal.flush()
        # After a top-up, `runs resume` needs them.
        folder.discard_secrets()
    state, message = verdict
    run_journal.end(state, message)
    return RunResult(state, results, message, tuple(lease.name for lease in left))


def _schedule(context: RunContext, schedule: Schedule) -> tuple[RunState, str]:
    """Create the plan's schedule at Lightning, which then owns the resources that this run has leased."""
    try:
        create_schedule(context, schedule)
    except Cancelled:
        return "stopped", context.cancellation.reason
    except CloudError as error:
        return "failed", str(error)
    for lease in context.journal.journal.leases(context.plan.run_id):
        context.journal.released(lease.kind, lease.name)
    return "completed", f"scheduled as {schedule.name!r} at {schedule.cron!r} {schedule.timezone}"


def _run_steps(
    context: RunContext,
    step_ended: Callable[[str, StepResult], object],
    on_start: Callable[[Abandon], object],
) -> dict[str, StepResult]:
    journal = context.journal
    before = {record.name: record for record in journal.journal.steps(context.plan.run_id)}
    done = {
        name: StepResult(record.state, record.exit_code, record.message, record.cost)
        for name, record in before.items()
        if record.state in ("succeeded", "failed", "stopped", "skipped")
    }

    def record(name: str, result: StepResult) -> StepResult:
        result = _without_stop(result, context.cancellation)
        journal.step_ended(name, result.state, result.exit_code, result.message, result.cost, result.seconds)
        return result

    def settle(name: str, result: StepResult) -> None:
        step_ended(name, record(name, result))

    def execute_in(placement: Placement) -> Results:
        def settle_placed(name: str, result: StepResult) -> None:
            recorded = record(name, result)
            placement.step_ended(name)
            step_ended(name, recorded)

        on_start(placement.abandon)
        # The scheduler decides anew about skipped steps, because it knows the failed ones.
        decided = {name: result for name, result in done.items() if result.state != "skipped"}
        return _execute(context, placement, settle_placed, decided, before)

    results = PLACEMENTS[context.plan.placement].run(context, settle, done, execute_in)
    return {name: _without_stop(result, context.cancellation) for name, result in results.items()}


def _without_stop(result: StepResult, cancellation: Cancellation) -> StepResult:
    """Return the result of a step that was ended because the run has failed: nobody has stopped it."""
    if result.state != "stopped" or not cancellation.is_failure:
        return result
    has_run = result.exit_code is not None or result.cost is not None
    return replace(result, state="failed" if has_run else "skipped", message=cancellation.reason)


def _alarm(plan: RunPlan, cancellation: Cancellation) -> threading.Timer:
    """Start the timer that stops a run at its time limit."""
    reason = timed_out(plan.timeout or 0.0, "run_timeout")
    alarm = threading.Timer(plan.timeout or 0.0, cancellation.request, [reason], {"is_failure": True})
    alarm.daemon = True
    if plan.timeout:
        alarm.start()
    return alarm


def _execute(
    context: RunContext,
    placement: Placement,
    settle: Settle,
    done: Results,
    before: dict[str, StepRecord],
) -> Results:
    """Run every step of a plan that is not done in a placement, and close the placement."""

    def run_attempt(step: StepPlan, attempt: int) -> StepResult:
        return context.records.compared(step.name, placement.run_attempt(step, attempt))

    def run_step(step: StepPlan) -> StepResult:
        known = context.records.known_end(step.name) if before[step.name].state == "pending" else None
        if known is not None:
            return known
        return run_attempts(
            step,
            before[step.name].attempt,
            run_attempt=run_attempt,
            journal=context.journal,
            cancellation=context.cancellation,
            cost=before[step.name].cost,
        )

    try:
        placement.prepare()
        results = execute(
            context.plan,
            run_step=run_step,
            stop_running=placement.stop_running,
            ended=settle,
            cancellation=context.cancellation,
            done=done,
            begun=[name for name, record in before.items() if record.state in ("preparing", "running")],
            durations=context.journal.journal.step_durations(context.plan.name),
        )
    except StaleControllerError:
        raise
    except BaseException:
        placement.close()
        raise
    placement.close()
    return results


def _verdict(results: dict[str, StepResult], cancellation: Cancellation) -> tuple[RunState, str]:
    if cancellation.is_failure:
        return "failed", cancellation.reason
    failed = [name for name, result in results.items() if result.state == "failed"]
    if failed:
        return "failed", "; ".join(f"step {name}: {results[name].message}" for name in failed)
    stopped = [f"step {name}: {result.message}" for name, result in results.items() if result.state == "stopped"]
    if cancellation.requested or stopped:
        return "stopped", cancellation.reason or "; ".join(stopped)
    return "completed", ""
