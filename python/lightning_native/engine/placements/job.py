"""Steps as jobs: each on a machine of its own, from the files of a template studio."""

import signal
import threading
import time
from collections.abc import Sequence
from functools import partial

from lightning_native import unique_studio_name
from lightning_native.engine.environments import Environments, code_archive
from lightning_native.engine.executor import StepResult
from lightning_native.engine.operation import PATIENCE_SECONDS, REMOTE_HOME, Outcome, upload_specification
from lightning_native.engine.placements.base import RunContext, quietly, run_safely
from lightning_native.engine.placements.job_output import JobOutput
from lightning_native.engine.placements.outcome import result_of
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.prepared import Cancelled
from lightning_native.errors import CloudError, OutOfCapacityError
from lightning_native.lightning.cloud import JobHandle, JobRequest
from lightning_native.lightning.machines import DEFAULT_MACHINE, canonical_machine

_SHORTEST_POLL = 0.1
_LONGEST_POLL = 5.0


class JobPlacement:
    """Runs each attempt at a step as a job under a name of its own, found before it is submitted."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._environments = Environments(context)
        self._jobs: dict[str, JobHandle] = {}
        self._submitted: dict[str, list[tuple[str, JobHandle]]] = {}
        self._stopped: set[str] = set()
        self._releasing: list[threading.Thread] = []
        # One step at a time gives the template its specification and has the platform copy the template's files.
        self._submitting = threading.Lock()

    def prepare(self) -> None:
        """Start preparing the environments."""
        self._environments.prepare()

    def run_attempt(self, step: StepPlan, attempt: int) -> StepResult:
        """Run one attempt at a step to its end. Never raises: whatever goes wrong is the step's result."""
        try:
            return run_safely(self._context, step, attempt, self._run_job)
        finally:
            self._jobs.pop(step.name, None)

    def _run_job(self, step: StepPlan, attempt: int) -> StepResult:
        plan = self._context.plan
        name = unique_studio_name(plan.name, step.name, plan.run_id[:12], f"attempt-{attempt}")
        machines = step_machines(self._context, step)
        self._context.journal.step_preparing(step.name, attempt, name, machines[0])
        # A controller that died may have submitted it.
        job = self._find(name)
        for machine in machines:
            patience = None if machine == machines[-1] else plan.pending_timeout
            try:
                job = job or self._submit(step, attempt, name, machine)
                return self._watch(job, step, attempt, name, patience)
            except OutOfCapacityError as error:
                if patience is None:
                    raise
                self._context.journal.event(f"{error}; trying the next machine", step.name)
            if job is not None:
                job.release()
                job = None
        raise CloudError(f"step {step.name!r} has no machine to run on")

    def _watch(self, job: JobHandle, step: StepPlan, attempt: int, name: str, patience: float | None) -> StepResult:
        self._jobs[step.name] = job
        self._submitted.setdefault(step.name, []).append((name, job))
        if self._context.cancellation.requested:
            raise Cancelled
        outcome = self._follow(job, step, attempt, patience)
        cost = job_cost(job)
        if step.name in self._stopped and (outcome is None or outcome.exit_code != 0):
            # Lightning signals all processes of a job at once, so the agent may not know why its command ended.
            exit_code = outcome.exit_code if outcome else None
            return StepResult("stopped", exit_code, "the step was stopped", cost)
        if step.interruptible and (outcome is None or outcome.exit_code == -signal.SIGTERM):
            return StepResult("failed", None, "its machine was taken away", cost, reclaimed=True)
        if outcome is None:
            return StepResult("failed", None, "its job ended without a result", cost)
        return result_of(step, outcome, cost)

    def _find(self, name: str) -> JobHandle | None:
        """Return the job of this name, and delete every other that a submission delivered twice has made."""
        first, *others = [*self._context.cloud.find_jobs(name), None]
        for other in others:
            if other is not None:
                other.release()
        return first

    def _submit(self, step: StepPlan, attempt: int, name: str, machine: str) -> JobHandle:
        self._context.journal.step_preparing(step.name, attempt, name, machine)
        template = self._environments.of(step)
        studio = template.prepared.wait()
        operation = self._context.operation_id(step.name, attempt)
        plan_tags = self._context.plan.tags
        with self._submitting:
            if self._context.cancellation.requested:
                raise Cancelled
            sha256 = upload_specification(studio.upload, operation, job_specification(self._context, step))
            command = f"python3 {REMOTE_HOME}/agent.py job {operation} --spec-sha256 {sha256} --job-name {name}"
            self._context.journal.lease("job", name, "delete")
            try:
                self._context.cloud.run_job(
                    JobRequest(name, machine, command, template.studio_name, step.interruptible, plan_tags)
                )
            finally:
                # The job has a copy of its own; nobody else needs the secrets in it.
                studio.remove(f"{REMOTE_HOME}/ops/{operation}.json")
        # A submission that was delivered twice has made two jobs.
        found = self._find(name)
        if found is None:
            raise CloudError(f"job {name!r} was submitted but cannot be found")
        return found

    def _follow(self, job: JobHandle, step: StepPlan, attempt: int, patience: float | None) -> Outcome | None:
        """Copy the job's output to the step's log until it ends; None if it ended without a result.

        Raises:
            OutOfCapacityError: it is pending for longer than `patience` seconds.
            CloudError: no call has got through for five minutes.
        """
        begun = time.monotonic()
        output = JobOutput(self._context.folder, step.name, attempt)
        delay = _SHORTEST_POLL
        failing_since: float | None = None
        while True:
            try:
                # The state first: what is printed after it is terminal is all there will ever be.
                state = job.state()
                text = job.output() if state != "pending" else ""
                failing_since = None
            except CloudError:
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > PATIENCE_SECONDS:
                    raise
                self._context.cancellation.wait(delay)
                continue
            if state == "pending" and patience is not None and time.monotonic() - begun > patience:
                raise OutOfCapacityError(f"job {job.name!r} still waits for its machine after {patience:g} s")
            if state == "running":
                self._context.journal.step_running(step.name)
            if output.take(text):
                delay = _SHORTEST_POLL
            if output.outcomes:
                return output.outcomes[-1]
            if state in ("completed", "failed", "stopped"):
                return None
            self._context.cancellation.wait(delay)
            delay = min(delay * 1.3, _LONGEST_POLL)
            if self._context.cancellation.requested and state == "pending":
                raise Cancelled

    def step_ended(self, step: str) -> None:
        """Give up the jobs of all attempts at a step; not before, because until its end is recorded they prove it."""
        release = threading.Thread(target=self._release, args=(self._submitted.pop(step, ()),), name=f"release {step}")
        self._releasing.append(release)
        release.start()

    def _release(self, jobs: Sequence[tuple[str, JobHandle]]) -> None:
        for name, job in jobs:
            if quietly(job.release):
                quietly(partial(self._context.journal.released, "job", name))

    def stop_running(self) -> None:
        """Stop every running job, without waiting for it."""
        for step, job in list(self._jobs.items()):
            self._stopped.add(step)
            threading.Thread(target=quietly, args=(job.stop,), daemon=True).start()

    def give_up(self, step: str, reason: str) -> None:
        """End the running attempt at a step, which has failed then, without waiting for it."""
        job = self._jobs.get(step)
        if job is not None:
            self._context.given_up[step] = reason
            threading.Thread(target=quietly, args=(job.stop,), daemon=True).start()

    def close(self) -> None:
        """Wait until what is being given up is; the rest is in the journal's leases."""
        for release in self._releasing:
            release.join()


def step_machines(context: RunContext, step: StepPlan) -> tuple[str, ...]:
    """Return the SDK's names of the machines a step's job may run on, in the order in which they are tried."""
    machines = step.machines or ((context.plan.main_machine or DEFAULT_MACHINE),)
    return tuple(canonical_machine(machine) for machine in machines)


def job_specification(context: RunContext, step: StepPlan) -> dict[str, object]:
    """Return what the agent in a step's job is to do. It holds the step's secrets."""
    code = context.folder.code()
    destination = f"{REMOTE_HOME}/code/{code.digest[:32]}"
    return {
        "argv": list(step.argv),
        "cwd": f"~/{destination}",
        "env": dict(context.environments.get(step.name, {})),
        "scratch": list(step.scratch),
        "timeout": step.timeout,
        "code": [f"~/{code_archive(code.digest)}", code.sha256, f"~/{destination}"],
    }


def job_cost(job: JobHandle) -> float | None:
    """Return the dollars a job has cost; None if that cannot be asked."""
    try:
        return job.cost()
    except CloudError:
        # Worth to know, but not worth a step that went well.
        return None
