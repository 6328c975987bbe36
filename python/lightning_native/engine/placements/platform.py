"""Steps as the jobs of one Lightning pipeline: Lightning drives the graph, and the controller records its progress."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.step_outputs import StepOutputs
from lightning_native.engine.placements.costs import JobCosts
from lightning_native.engine.placements.job import step_machines, step_outputs
from lightning_native.engine.placements.job_end import verdict_of
from lightning_native.engine.placements.job_follower import Ended, JobFollower
from lightning_native.engine.placements.job_output import JobOutput
from lightning_native.engine.placements.pipeline import PipelinePlan, prepare_studios
from lightning_native.engine.placements.stopping import stop_until_over
from lightning_native.engine.plan import MAX_INTERRUPTIONS, StepPlan
from lightning_native.engine.planning.limits import serialize_limits
from lightning_native.engine.record.records import StepState
from lightning_native.engine.resource_names import pipeline_name, pipeline_operation_id, pipeline_step_name
from lightning_native.engine.result import StepResult, result_of
from lightning_native.engine.retry import Backoff, Patience
from lightning_native.errors import CloudError, StaleControllerError
from lightning_native.lightning.cloud import (
    JobEnd,
    JobHandle,
    JobState,
    PipelineHandle,
    PipelineStatus,
    PipelineStepStatus,
)

# The longest that failing calls for the last output of an ended step are repeated.
_LAST_OUTPUT_SECONDS = 60.0
_FINAL = ("completed", "failed", "stopped")


def follow_pipeline(
    context: RunContext, ended: Callable[[str, StepResult], object], done: Mapping[str, StepResult]
) -> dict[str, StepResult]:
    """Run every step that is not done in a pipeline of the run's own, which a dead controller may have created.

    Args:
        context: the run.
        ended: called at each step's end, in this thread.
        done: the results of the steps that ended before.

    Returns:
        The result of every step.
    """
    steps = [step for step in context.plan.steps if step.name not in done]
    results = dict(done)

    def settle(name: str, result: StepResult) -> None:
        results[name] = result
        ended(name, result)

    state: StepState = "failed"
    reason = ""
    try:
        _run(context, steps, results, settle)
    except (Cancelled, CloudError) as error:
        reason = str(error)
    if context.cancellation.starts_nothing:
        reason, state = context.cancellation.reason, "stopped"
    for step in steps:
        if step.name not in results:
            settle(step.name, StepResult(state, None, reason))
    return results


def _run(
    context: RunContext,
    steps: list[StepPlan],
    results: Mapping[str, StepResult],
    settle: Callable[[str, StepResult], None],
) -> None:
    """Settle all steps, in one pipeline, or in more if Lightning skipped steps whose upstream steps succeeded.

    Lightning's pipelines have no limits, so limits become dependencies. Lightning skips the steps after a failed one,
    also those that depend on it only because of a limit, and those after a step that has succeeded by its front end's
    record although its job failed. With failure mode `continue` all of these run in a further pipeline.
    """
    waits = serialize_limits(context.plan, context.journal.journal.step_durations(context.plan.name))
    number = 1
    while steps:
        name = pipeline_name(context.plan, number)
        # A dead controller may have created it.
        pipeline = context.patiently(partial(context.cloud.find_pipeline, name))
        if pipeline is None:
            studios, problems = prepare_studios(context, steps)
            _settle_without_studio(context, steps, problems, settle)
            steps = [step for step in steps if step.name not in results]
            if not steps:
                return
            pipeline = PipelinePlan(context, name, steps, studios, waits).create()
        settles = context.plan.on_failure != "continue"
        follower = _Follower(context, pipeline, steps, settle, settle_skipped=settles)
        follower.run()
        steps = _to_run_again(context, follower, results, settle, has_limits=waits is not None)
        number += 1


def _to_run_again(
    context: RunContext,
    follower: "_Follower",
    results: Mapping[str, StepResult],
    settle: Callable[[str, StepResult], None],
    *,
    has_limits: bool,
) -> list[StepPlan]:
    """Return the skipped steps whose upstream steps succeeded or run again, and settle the others.

    Without limits, these are below a step whose job failed and that has succeeded all the same; a pipeline that a
    person has stopped has skipped others, which do not run.
    """
    again: dict[str, StepPlan] = {}
    for name in context.plan.dag().order():
        if name in follower.skipped:
            step = context.plan.step(name)
            may_run = has_limits or (step.upstream and not follower.was_stopped)
            if may_run and all(other in again or results[other].state == "succeeded" for other in step.upstream):
                again[name] = step
            else:
                settle(name, skipped(context))
    return list(again.values())


def _settle_without_studio(
    context: RunContext,
    steps: list[StepPlan],
    problems: Mapping[str, str],
    settle: Callable[[str, StepResult], None],
) -> None:
    """Settle the steps whose template studio could not be prepared, and those that will never run because of it."""
    doomed = set(problems)
    if problems and context.plan.on_failure != "continue":
        doomed = {step.name for step in steps}
    elif problems:
        dag = context.plan.dag()
        doomed |= {below for name in problems for below in dag.descendants(name)}
    for step in steps:
        if step.name in problems:
            context.note(step.name, 1, problems[step.name])
            settle(step.name, StepResult("failed", None, problems[step.name]))
        elif step.name in doomed:
            settle(step.name, skipped(context))


def skipped(context: RunContext) -> StepResult:
    """Return the result of a step that never ran because another failed."""
    upstream = context.plan.on_failure == "continue"
    return StepResult("skipped", None, "an upstream step failed" if upstream else "another step failed")


@dataclass
class _Followed:
    """A job of a step, whose output a thread of its own copies until the step has ended.

    `known` is the status in which it was seen first. `status` is that in which the step ended; None before, and if its
    machine was interrupted.
    """

    step: StepPlan
    job: str
    known: PipelineStepStatus
    begun: bool = False
    billed: bool = False
    since: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)
    status: PipelineStepStatus | None = None
    handle: JobHandle | None = None

    @property
    def interruptions(self) -> int:
        """The number of jobs of the step that were interrupted before this one."""
        return self.known.interruptions


class _Follower:
    """Follows a pipeline until each of its steps has ended.

    `skipped`: steps that Lightning did not run and that are not settled.
    `was_stopped`: whether the pipeline was stopped, by this run or a person.
    """

    def __init__(
        self,
        context: RunContext,
        pipeline: PipelineHandle,
        steps: list[StepPlan],
        settle: Callable[[str, StepResult], None],
        *,
        settle_skipped: bool,
    ) -> None:
        self._context = context
        self._pipeline = pipeline
        self._settle_skipped = settle_skipped
        self.skipped: list[str] = []
        self.was_stopped = False
        self._open = {pipeline_step_name(step.name): step for step in steps}
        self._settle = settle
        self._followed: dict[str, _Followed] = {}
        self._outputs: dict[str, StepOutputs] = {}
        self._results: queue.SimpleQueue[tuple[str, StepResult | StaleControllerError]] = queue.SimpleQueue()
        self._stopping = False
        # Whether the pipeline did not stop and was deleted, with its jobs.
        self._deleted = False
        self._backoff = Backoff()
        # The pipeline has its jobs until the run's end.
        self._costs = JobCosts(context)

    def run(self) -> None:
        """Settle every step, skipped ones only with `settle_skipped`.

        Raises:
            CloudError: no call has got through for five minutes.
        """
        try:
            self._run()
        finally:
            self._costs.close()

    def _run(self) -> None:
        patience = Patience()
        seen: PipelineStatus | None = None
        while self._open:
            if self._deleted:
                for name, step in list(self._open.items()):
                    del self._open[name]
                    self._settle(step.name, StepResult("stopped", None, "the step was stopped"))
                return
            try:
                status = self._pipeline.status()
            except CloudError as error:
                if patience.failed(error) or self._context.cancellation.is_overdue:
                    raise
            else:
                patience.succeeded()
                if status != seen:
                    self._backoff.reset()
                else:
                    self._backoff.grow()
                for name, step in list(self._open.items()):
                    if seen is None or status.state != seen.state or status.steps.get(name) != seen.steps.get(name):
                        self._observe(name, step, status)
                seen = status
                self.was_stopped = self._stopping or status.state == "stopped"
            self._settle_next()

    def _observe(self, name: str, step: StepPlan, pipeline: PipelineStatus) -> None:
        """Record the state of one step."""
        status = pipeline.steps.get(name, PipelineStepStatus("pending"))
        followed = self._followed.get(name)
        if status.job and (followed is None or followed.interruptions != status.interruptions):
            if followed is not None:
                self._context.journal.event("its machine was interrupted; it runs again", step.name)
                followed.ended.set()
            followed = self._follow(name, step, status.job, status)
        if followed is not None and not followed.begun and status.state == "running":
            followed.begun = True
            self._context.journal.step_running(step.name)
        if self._has_ended(step, status, pipeline):
            if followed is None:
                del self._open[name]
                if status.state == "skipped" and not self._settle_skipped and not self._stopping:
                    self.skipped.append(step.name)
                else:
                    self._settle(step.name, self._never_ran())
            elif followed.status is None:
                followed.status = status
                followed.ended.set()

    def _machine(self, step: StepPlan) -> str:
        return step_machines(self._context, step)[0]

    def _has_ended(self, step: StepPlan, status: PipelineStepStatus, pipeline: PipelineStatus) -> bool:
        if pipeline.state in _FINAL:
            # The last jobs of an ended pipeline may still be running.
            return status.state != "running"
        # A step whose machine was interrupted looks failed for a moment before Lightning runs it again.
        may_return = step.interruptible and status.state == "failed" and status.interruptions < MAX_INTERRUPTIONS
        return status.state in (*_FINAL, "skipped") and not may_return

    def _never_ran(self) -> StepResult:
        if self._context.cancellation.starts_nothing:
            return StepResult("stopped", None, self._context.cancellation.reason)
        return skipped(self._context)

    def _settle_next(self) -> None:
        """Wait for steps to end, until the next poll, and settle them: the steps after them may have begun."""
        begun = time.monotonic()
        while self._open:
            # A drain stops the pipeline, because a pipeline cannot continue its running steps and begin no others.
            if self._context.cancellation.starts_nothing:
                self._stop()
            left = begun + self._backoff.delay - time.monotonic()
            try:
                name, result = self._results.get(timeout=max(0.0, min(0.1, left)))
            except queue.Empty:
                if left <= 0:
                    return
                continue
            self._settle_one(name, result)
            while not self._results.empty():
                self._settle_one(*self._results.get())
            return

    def _settle_one(self, name: str, result: StepResult | StaleControllerError) -> None:
        if isinstance(result, StaleControllerError):
            raise result
        step = self._open.pop(name)
        self._settle(step.name, result)
        followed = self._followed[name]
        if followed.handle is not None:
            # That of jobs that were interrupted before counts, too.
            self._context.journal.cost_corrected(step.name)
            self._costs.settle(step, followed.job, followed.handle)
        if result.state == "failed" and self._context.plan.on_failure == "fail_fast":
            self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            # Poll soon again, because the stop brings news.
            self._backoff.reset()
            stop_until_over(
                self._context,
                f"pipeline {self._pipeline.name}",
                stop=self._pipeline.stop,
                harder=self._delete,
                is_over=lambda: not self._open,
            )

    def _delete(self) -> None:
        self._pipeline.release()
        self._deleted = True

    def _follow(self, name: str, step: StepPlan, job: str, status: PipelineStepStatus) -> _Followed:
        self._preparing(step, status.interruptions + 1, job)
        followed = self._followed[name] = _Followed(step, job, status)
        threading.Thread(target=self._report, args=(name, followed), name=f"follow {step.name}", daemon=True).start()
        return followed

    def _report(self, name: str, followed: _Followed) -> None:
        """Follow a step's job, and report its result or its error."""
        try:
            copied = self._copy(followed)
            result: StepResult | StaleControllerError | None = copied and self._context.records.compared(
                followed.step.name, copied
            )
        except StaleControllerError as error:
            result = error
        except Exception as error:
            result = StepResult("failed", None, f"its job cannot be followed: {error}")
        if result is not None:
            self._results.put((name, result))

    def _preparing(self, step: StepPlan, attempt: int, job: str) -> None:
        self._context.journal.step_preparing(step.name, attempt, job, step_machines(self._context, step)[0])

    def _copy(self, followed: _Followed) -> StepResult | None:
        """Copy the output of a step's job until the step has ended, and return its result; None: it runs again."""
        word = self._context.folder.word(pipeline_operation_id(self._pipeline.name, followed.step.name))
        output = JobOutput(self._context.folder, followed.step.name, followed.interruptions + 1, word)
        outputs = self._outputs.setdefault(followed.step.name, step_outputs(self._context, followed.step))
        outputs.watch()
        backoff, patience = Backoff(), Patience(_LAST_OUTPUT_SECONDS)
        follower: JobFollower | None = None
        ended: Ended | None = None
        while True:
            has_ended = followed.ended.is_set()
            known = len(output.outcomes)
            try:
                if follower is None:
                    followed.handle = job = self._pipeline.job(followed.known)
                    follower = JobFollower(job, output, is_end=partial(_is_last, followed, output))
                ended = follower.poll()
                patience.succeeded()
                if follower.state == "running" and not followed.billed and followed.handle is not None:
                    followed.billed = True
                    waited = time.monotonic() - followed.since
                    machine = self._machine(followed.step)
                    self._costs.begun(followed.step, followed.job, followed.handle, machine, waited)
            except CloudError as error:
                if patience.failed(error) and has_ended:
                    break
            self._note_attempts(followed, output, known)
            if has_ended and (ended is not None or followed.status is None):
                break
            if len(output.outcomes) > known or (follower and follower.news > time.monotonic() - backoff.delay):
                backoff.reset()
            else:
                backoff.grow()
            if has_ended:
                time.sleep(backoff.delay)
            else:
                followed.ended.wait(backoff.delay)
        handle, cost = followed.handle, None
        if handle is not None:
            machine = self._machine(followed.step)
            cost = self._costs.ended(followed.step, followed.job, handle, machine, output.outcomes)
        if followed.status is None:
            # Its outputs are fetched with those of the next attempt.
            return None
        outputs.finish(output.outcomes[-1] if output.outcomes else None, partial(self._pipeline.job, followed.known))
        return self._result(followed, followed.status, output, ended, cost)

    def _note_attempts(self, followed: _Followed, output: JobOutput, known: int) -> None:
        """Record the failed attempts in a job that another attempt follows."""
        step = followed.step
        for number, outcome in enumerate(output.outcomes[known:], start=known):
            if outcome.exit_code == 0 or outcome.stopped or number >= step.retry.count:
                continue
            attempt = followed.interruptions + number + 1
            message = result_of(
                step, outcome, output=self._context.output_of(step.name, attempt, output.preface)
            ).message
            delay = step.retry.pause(number + 1)
            self._context.journal.event(f"attempt {attempt} failed ({message}); trying again in {delay:g} s", step.name)
            self._preparing(step, attempt + 1, followed.job)
            self._context.journal.step_running(step.name)

    def _result(
        self,
        followed: _Followed,
        status: PipelineStepStatus,
        output: JobOutput,
        ended: Ended | None,
        cost: float | None,
    ) -> StepResult:
        step = followed.step
        outcome = output.outcomes[-1] if output.outcomes else None
        if step.image and status.state == "failed" and outcome is not None and outcome.exit_code == 0:
            # A container's code can read its word, because that stays for a restart: the word alone proves no success.
            outcome = None
        if outcome is not None and (outcome.exit_code == 0 or status.state == "failed") and not outcome.stopped:
            attempt = followed.interruptions + len(output.outcomes)
            result = result_of(step, outcome, cost, output=self._context.output_of(step.name, attempt, output.preface))
            return replace(result, seconds=sum(each.seconds for each in output.outcomes))
        exit_code = outcome.exit_code if outcome else None
        if self._stopping:
            return StepResult("stopped", exit_code, "the step was stopped", cost)
        if status.state == "completed":
            self._context.journal.event("its job completed; Lightning has not published its whole log", step.name)
            return StepResult("succeeded", 0, cost=cost)
        state: JobState = "stopped" if status.state == "stopped" else "failed"
        end = ended.end if ended else JobEnd(status.message)
        interruptible = self._context.is_interruptible(step, step_machines(self._context, step)[0])
        verdict = verdict_of(state, end, interruptible=interruptible)
        return verdict.result(exit_code, cost)


def _is_last(followed: _Followed, output: JobOutput, outcome: Outcome) -> bool:
    """Return whether no attempt follows this outcome in a step's job."""
    if not followed.ended.is_set():
        return False
    return outcome.exit_code == 0 or outcome.stopped or len(output.outcomes) > followed.step.retry.count
