"""Steps as jobs: each on a machine of its own, from the files of a template studio or from an image."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from shlex import join as shell_join
from typing import NamedTuple

from lightning_native.agent import COMMAND as AGENT_COMMAND
from lightning_native.agent_protocol import PACKAGE, OperationSpec, Outcome, specification_path
from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.step_outputs import StepOutputs
from lightning_native.engine.outputs.store import DriveStore
from lightning_native.engine.placements.base import run_safely
from lightning_native.engine.placements.batch import Batch
from lightning_native.engine.placements.container import container_job, remove_folder
from lightning_native.engine.placements.costs import JobCosts
from lightning_native.engine.placements.job_end import verdict_of
from lightning_native.engine.placements.job_follower import FINAL, Ended, JobFollower
from lightning_native.engine.placements.job_output import JobOutput
from lightning_native.engine.placements.ranks import failed_machine, told_to_end
from lightning_native.engine.placements.stopping import stop_until_over
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.planning import account_choice
from lightning_native.engine.resource_names import drive_folder, job_name, outputs_folder
from lightning_native.engine.result import StepResult, result_of
from lightning_native.engine.retry import AS_LIGHTNING_TAKES_THEM, best_effort
from lightning_native.engine.studios.agent_client import unpacking, upload_specification
from lightning_native.engine.studios.batching import Batcher
from lightning_native.engine.studios.interpreter import Interpreter
from lightning_native.engine.studios.templates import TemplateStudio, TemplateStudios
from lightning_native.errors import CloudError, OutOfCapacityError, RefusedError
from lightning_native.lightning.cloud import JobEnd, JobHandle, JobRequest, JobState

_SHORTEST_POLL = 0.1
_LONGEST_POLL = 5.0
_RELEASES_AT_ONCE = 16
_SUBMISSIONS_AT_ONCE = 8
# Steps that become ready together are submitted together.
_GATHER_SECONDS = 0.005
# The pause between two polls of a job is this share of the time without news …
_POLL_SHARE = 0.05
# … and all jobs together get at most so many polls a second, fewer while they wait for their machines.
_MOST_POLLS = 50
_MOST_POLLS_OF_PENDING = 20


class _Submission(NamedTuple):
    step: StepPlan
    attempt: int
    name: str
    machine: str


class JobPlacement:
    """Runs each attempt at a step as a job under a name of its own, by which an earlier submission is found."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._templates = TemplateStudios(context)
        # The jobs that a dead controller was about to submit.
        self._leased = {lease.name for lease in context.journal.journal.leases(context.plan.run_id)}
        self._jobs: dict[str, JobHandle] = {}
        self._outputs: dict[str, StepOutputs] = {}
        self._submitted: dict[str, list[tuple[StepPlan, str, JobHandle]]] = {}
        self._stopped: set[str] = set()
        # The jobs that did not stop and were deleted.
        self._deleted: set[str] = set()
        # The batches of each job: more than one if only the answer to a submission was lost.
        self._batches: dict[str, list[Batch]] = {}
        self._releasing = ThreadPoolExecutor(max_workers=_RELEASES_AT_ONCE, thread_name_prefix="release")
        self._costs = JobCosts(context, self._release_soon)
        self._submissions = {
            template: Batcher(
                partial(self._submit_all, template),
                calls_at_once=1,
                largest=8 * _SUBMISSIONS_AT_ONCE,
                gather_seconds=_GATHER_SECONDS,
            )
            for template in self._templates.all()
        }

    def prepare(self) -> None:
        """Start preparing the template studios."""
        self._templates.prepare()

    def run_attempt(self, step: StepPlan, attempt: int) -> StepResult:
        """Run one attempt at a step to its end. Never raises: any error becomes the step's result."""
        try:
            return run_safely(self._context, step, attempt, self._run_job)
        finally:
            self._jobs.pop(step.name, None)

    def _run_job(self, step: StepPlan, attempt: int) -> StepResult:
        plan = self._context.plan
        name = job_name(plan, step.name, attempt)
        machines = step_machines(self._context, step)
        self._context.journal.step_preparing(step.name, attempt, name, machines[0])
        outputs = self._outputs[step.name] = step_outputs(self._context, step)
        outputs.prepare(attempt)
        job = self._context.patiently(lambda: self._find(name)) if name in self._leased else None
        for machine in machines:
            patience = None if machine == machines[-1] else plan.pending_timeout
            try:
                job = job or self._submit_or_find(step, attempt, name, machine)
                return self._watch(job, step, attempt, name, machine, patience)
            except OutOfCapacityError as error:
                if patience is None:
                    raise
                self._context.journal.event(f"{error}; trying the next machine", step.name)
            if job is not None:
                job.release()
                self._ended(name)
                job = None
        raise CloudError(f"step {step.name!r} has no machine to run on")

    def _watch(
        self, job: JobHandle, step: StepPlan, attempt: int, name: str, machine: str, patience: float | None
    ) -> StepResult:
        self._jobs[step.name] = job
        self._submitted.setdefault(step.name, []).append((step, name, job))
        if self._context.cancellation.requested:
            raise Cancelled
        outputs = self._outputs[step.name]
        with outputs.watched():
            ended = self._follow(job, step, attempt, name, machine, patience)
        outcome, cost = ended.outcome, self._costs.ended(step, name, job, machine, _known(ended.outcome))
        outputs.finish(outcome, lambda: job)
        if step.name in self._stopped and (outcome is None or outcome.exit_code != 0):
            # The agent may not know why its command ended, because Lightning signals all processes of a job at once.
            exit_code = outcome.exit_code if outcome else None
            return StepResult("stopped", exit_code, "the step was stopped", cost)
        has_failed = outcome is not None and outcome.exit_code != 0 and not told_to_end(outcome)
        if step.num_machines > 1 and ended.state == "failed" and not has_failed:
            other = failed_machine(self._context, step, attempt, job)
            if other is not None:
                return replace(other, cost=cost)
            # Without all of its machines, rank 0 has not succeeded.
            outcome = None
        if outcome is not None and not told_to_end(outcome):
            return result_of(step, outcome, cost, output=self._context.output_of(step.name, attempt, ended.preface))
        if outcome is None and ended.state == "completed":
            self._context.journal.event("its job completed; Lightning has not published its whole log", step.name)
            return StepResult("succeeded", 0, cost=cost)
        verdict = verdict_of(ended.state, ended.end, interruptible=self._context.is_interruptible(step, machine))
        if outcome is not None and verdict.state == "failed" and not verdict.interrupted and not verdict.is_final:
            # It ended by a signal of its own making.
            return result_of(step, outcome, cost, output=self._context.output_of(step.name, attempt, ended.preface))
        return verdict.result(None, cost)

    def _find(self, name: str) -> JobHandle | None:
        """Return the job of this name, and delete every other one that a submission delivered twice has created."""
        first, *others = [*self._context.cloud.find_jobs(name), None]
        for other in others:
            if other is not None:
                other.release()
        return first

    def _submit_or_find(self, step: StepPlan, attempt: int, name: str, machine: str) -> JobHandle:
        tried = False

        def submit() -> JobHandle:
            nonlocal tried
            # A failed submission may have created the job, because only its answer may be lost.
            found = self._find(name) if tried else None
            tried = True
            return found or self._submit(step, attempt, name, machine)

        return self._context.patiently(submit, AS_LIGHTNING_TAKES_THEM)

    def _submit(self, step: StepPlan, attempt: int, name: str, machine: str) -> JobHandle:
        self._context.journal.step_preparing(step.name, attempt, name, machine)
        answer: JobHandle | CloudError
        if step.image:
            self._context.journal.lease("job", name)
            (budget,) = self._costs.budgets([(step, name, machine)])
            outputs = self._outputs[step.name]
            request = container_job(
                self._context, step, step.image, attempt, name=name, machine=machine, outputs=outputs, budget=budget
            )
            answer = self._context.cloud.run_job(request)
        else:
            template = self._templates.of(step, machine)
            template.prepared.wait()
            # One batch at a time uploads its file to the template studio, and lets the platform copy the files there.
            answer = self._submissions[template].ask(_Submission(step, attempt, name, machine))
        if isinstance(answer, CloudError):
            raise answer
        # The job has another name if the submission was delivered twice.
        job = answer if answer.name == name else self._find(name)
        if job is None:
            raise CloudError(f"job {name!r} was submitted but cannot be found")
        return job

    def _submit_all(self, template: TemplateStudio, submissions: Sequence[_Submission]) -> list[JobHandle | CloudError]:
        """Submit jobs that start from one template studio, all at once; the answer to a failed one is a CloudError."""
        if self._context.cancellation.requested:
            raise Cancelled
        studio, interpreter = template.prepared.wait()
        operations = [self._context.operation_id(each.step.name, each.attempt) for each in submissions]
        bundle = f"{operations[0]}.jobs"
        path = specification_path(bundle)
        file = f"{template.studio_name}:{path}"
        self._context.journal.lease("job", *(each.name for each in submissions), on_release="delete", file=file)
        budgets = self._costs.budgets([(each.step, each.name, each.machine) for each in submissions])
        steps = {
            operation: replace(
                job_spec(self._context, each.step, operation, interpreter),
                budget=budget,
                outputs=self._outputs[each.step.name].wish(each.attempt),
            ).to_json()
            for operation, each, budget in zip(operations, submissions, budgets, strict=True)
        }
        sha256 = upload_specification(studio.upload, bundle, {"steps": steps})

        def discard() -> None:
            # The file holds secrets and is not needed any more, because each job has a copy of its own.
            if best_effort(partial(studio.remove, path)):
                self._context.journal.released("file", file)

        batch = Batch((each.name for each in submissions), discard)
        for each in submissions:
            self._batches.setdefault(each.name, []).append(batch)

        def submit(each: _Submission, operation: str) -> JobHandle | CloudError:
            agent = (*AGENT_COMMAND, "job", bundle, "--spec-sha256", sha256, "--step", operation)
            request = JobRequest(
                each.name,
                each.machine,
                shell_join([*agent, "--job-name", each.name]),
                template.studio_name,
                self._context.is_interruptible(each.step, each.machine),
                self._context.plan.tags,
                # One snapshot for all, because each may take minutes; a single job's own goes with the job.
                snapshot=batch.snapshot if len(submissions) > 1 else "",
                num_machines=each.step.num_machines,
                scratch_disks=dict(each.step.scratch_disks),
                path_mappings=dict(each.step.path_mappings),
            )
            try:
                return self._context.cloud.run_job(request)
            except CloudError as error:
                return error

        if len(submissions) == 1:
            answers = [submit(submissions[0], operations[0])]
        else:
            with ThreadPoolExecutor(_SUBMISSIONS_AT_ONCE) as pool:
                answers = list(pool.map(submit, submissions, operations))
        for each, answer in zip(submissions, answers, strict=True):
            if isinstance(answer, RefusedError):
                # After any other error, the job may exist all the same.
                batch.ended(each.name)
        return answers

    def _ended(self, name: str) -> None:
        """Record that a job has ended, so that it does not need its batch any more."""
        for batch in self._batches.pop(name, ()):
            batch.ended(name)

    def _begun(self, name: str) -> None:
        """Record that a job has its files."""
        for batch in self._batches.get(name, ()):
            batch.begun(name)

    def _follow(
        self, job: JobHandle, step: StepPlan, attempt: int, name: str, machine: str, patience: float | None
    ) -> Ended:
        """Copy the job's output to the step's log until it ends, and return its end.

        Raises:
            OutOfCapacityError: the job waits for its machine for longer than `patience` seconds.
            CloudError: no call has got through for five minutes.
        """
        word = self._context.folder.word(self._context.operation_id(step.name, attempt))
        batch = (self._batches.get(name) or [Batch([name], lambda: None)])[-1]
        follower = JobFollower(
            job,
            JobOutput(self._context.folder, step.name, attempt, word),
            on_begin=partial(self._begun, name),
            is_end=lambda outcome: (
                follower.state in FINAL
                if step.num_machines > 1
                else step.name in self._stopped or not told_to_end(outcome)
            ),
            rank=0 if step.num_machines > 1 else None,
            is_overdue=lambda: self._context.cancellation.is_overdue,
        )
        followed_since, begun = time.monotonic(), False
        while True:
            ended = follower.poll()
            if ended is not None:
                return ended
            if job.name in self._deleted:
                return Ended(None, "stopped", JobEnd())
            if follower.state == "running" and not begun:
                begun = True
                self._costs.begun(step, name, job, machine, time.monotonic() - followed_since)
            if follower.state == "pending" and patience is not None and batch.has_waited(patience):
                raise OutOfCapacityError(f"job {job.name!r} still waits for its machine after {patience:g} s")
            if follower.state == "running":
                self._context.journal.step_running(step.name)
            pause = max(self._pause(follower.news, follower.state), follower.least_pause)
            if self._context.cancellation.pause(pause):
                # Poll soon again, because a stop brings news.
                follower.news = time.monotonic()
            if self._context.cancellation.requested and follower.state == "pending":
                raise Cancelled

    def _pause(self, news: float, state: JobState) -> float:
        """Return the seconds until the next poll of a job in this state, whose last news is from the time `news`."""
        polls = _MOST_POLLS_OF_PENDING if state == "pending" else _MOST_POLLS
        wanted = max(_POLL_SHARE * (time.monotonic() - news), len(self._jobs) / polls)
        return min(max(wanted, _SHORTEST_POLL), _LONGEST_POLL)

    def step_ended(self, step: str) -> None:
        """Release the jobs of all attempts at a step; until its end is recorded, they prove it."""
        for submitted in self._submitted.pop(step, ()):
            self._costs.settle(*submitted)

    def _release_soon(self, step: StepPlan, name: str, job: JobHandle) -> None:
        self._releasing.submit(self._release, step, name, job)

    def _release(self, step: StepPlan, name: str, job: JobHandle) -> None:
        self._ended(name)
        if best_effort(self._context.journal.flush) and best_effort(job.release):
            best_effort(partial(self._context.journal.released, "job", name))
            if step.image and best_effort(partial(remove_folder, self._context.cloud, name)):
                best_effort(partial(self._context.journal.released, "folder", drive_folder(name)))

    def stop_running(self) -> None:
        """Stop every running job, without waiting for it."""
        for step, job in list(self._jobs.items()):
            self._stopped.add(step)
            self._stop(step, job)

    def _stop(self, step: str, job: JobHandle) -> None:
        def delete() -> None:
            job.release()
            self._deleted.add(job.name)

        def is_over() -> bool:
            return self._jobs.get(step) is not job

        stop_until_over(self._context, f"job {job.name}", stop=job.stop, harder=delete, is_over=is_over)

    def abandon(self, step: str, reason: str) -> None:
        """End the running attempt at a step, without waiting for it; the attempt has failed for `reason`."""
        job = self._jobs.get(step)
        if job is not None:
            self._context.abandoned[step] = reason
            self._stop(step, job)

    def close(self) -> None:
        """Wait for the releases that have begun; everything else is in the journal's leases."""
        self._costs.close()
        self._releasing.shutdown()


def _known(outcome: Outcome | None) -> tuple[Outcome, ...]:
    return () if outcome is None else (outcome,)


def step_machines(context: RunContext, step: StepPlan) -> tuple[str, ...]:
    """Return the SDK's names of the machines that a step's job may run on, in the order in which they are tried."""
    return account_choice.step_machines(context.plan, step)


def step_outputs(context: RunContext, step: StepPlan) -> StepOutputs:
    """Return the outputs of a step whose attempts are jobs."""
    folder = outputs_folder(context.plan, step.name)
    # A container has only the mounts that its job asks for.
    mount = f"/tmp/lightning-native-{folder.replace('/', '-')}" if step.image else None  # noqa: S108  in a container
    return StepOutputs(context, step, DriveStore(context.cloud, folder, mount))


def job_spec(context: RunContext, step: StepPlan, operation: str, interpreter: Interpreter) -> OperationSpec:
    """Return the specification of an operation in a step's job."""
    code = unpacking(context.folder.code())
    package = [unpacking(context.folder.own_package(), PACKAGE)] if step.package else []
    return OperationSpec(
        argv=step.argv,
        cwd=code[-1],
        env=context.variables.get(step.name, {}),
        scratch=step.scratch,
        timeout=step.timeout,
        bin=interpreter.bin,
        unpack=[code, *package],
        pythonpath=[destination for *_, destination in package],
        word=context.folder.word(operation),
    )
