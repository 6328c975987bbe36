"""Steps as commands in studios: the main studio, and one of its own for each step that asks for another machine."""

import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

from lightning_native.agent_protocol import OperationSpec
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine import retry
from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.step_outputs import StepOutputs
from lightning_native.engine.outputs.store import StudioStore
from lightning_native.engine.placements.base import run_safely
from lightning_native.engine.placements.job_end import Verdict, verdict_of
from lightning_native.engine.placements.studio_budget import StudioBudgets
from lightning_native.engine.placements.studio_costs import StudioCosts
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.planning.layout import StudioPlan, studio_layout
from lightning_native.engine.record.run_folder import StepLog
from lightning_native.engine.resource_names import studio_outputs_name
from lightning_native.engine.result import StepResult, result_of
from lightning_native.engine.retry import best_effort
from lightning_native.engine.studios.agent_client import LostCommandError, Operation
from lightning_native.engine.studios.machine_check import start_on
from lightning_native.engine.studios.setup import ReadyStudio, set_up
from lightning_native.engine.studios.sharing import is_used_by_others, join, leave
from lightning_native.engine.studios.single_flight import SingleFlight
from lightning_native.errors import CloudError, OutOfCapacityError, RefusedError
from lightning_native.lightning.cloud import JobEnd, StudioHandle

# A command that a machine's end has ended may be reported before the studio has its next machine.
_ENDED_BY_SIGNAL = (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGKILL)
_RESTART_SECONDS = 10.0
_POLL_SECONDS = 0.5


class StudioPlacement:
    """Runs the steps of one plan in studios, each prepared once, for the first step that needs it."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._studios = [_RunStudio(context, studio) for studio in studio_layout(context.plan)]
        self._studio_of = {step: studio for studio in self._studios for step in studio.plan.steps}
        self._operations: dict[str, Operation] = {}
        self._operations_lock = threading.Lock()
        self._budgets = StudioBudgets(context)

    def prepare(self) -> None:
        """Start preparing the studios that several steps share, without waiting for them."""
        for studio in self._studios:
            if len(studio.plan.steps) > 1:
                studio.prepared.begin()

    def run_attempt(self, step: StepPlan, attempt: int) -> StepResult:
        """Run one attempt at a step to its end. Never raises: any error becomes the step's result."""
        costs = self._studio_of[step.name].costs
        costs.enter(step.name)
        result = run_safely(self._context, step, attempt, self._run_in_studio)
        return replace(result, cost=costs.leave(step.name))

    def _run_in_studio(self, step: StepPlan, attempt: int) -> StepResult:
        try:
            result = self._run_command(step, attempt)
        except RefusedError:
            raise
        except CloudError:
            verdict = self._verdict(step)
            if verdict is None:
                raise
            return verdict.result(None, None)
        # A stop that this run has not asked for is Lightning's, or a person's there.
        verdict = self._verdict(step) if result.state == "stopped" else None
        return verdict.result(result.exit_code, None) if verdict else result

    def _verdict(self, step: StepPlan) -> Verdict | None:
        """Return the meaning of the end of a step's studio; None if it runs, or nobody has said why it does not."""
        studio = self._studio_of[step.name]
        if self._context.cancellation.requested or step.name in self._context.abandoned:
            return None
        message = studio.end_message()
        return verdict_of("stopped", JobEnd(message), interruptible=False, what="studio") if message else None

    def _run_command(self, step: StepPlan, attempt: int) -> StepResult:
        studio = self._studio_of[step.name]
        asked_for = studio.machine
        self._context.journal.step_preparing(step.name, attempt, studio.plan.name, asked_for)
        ready = studio.prepared.wait()
        studio.wake()
        if studio.machine != asked_for:
            self._context.journal.step_preparing(step.name, attempt, studio.plan.name, studio.machine)
        machine_id = studio.machine_id
        self._budgets.add(studio.plan.name, ready, ours=not studio.plan.keep)
        operation = ready.operation(self._context.operation_id(step.name, attempt))
        with self._operations_lock:
            self._operations[step.name] = operation
        outputs = studio.outputs_of(step)
        try:
            if self._context.cancellation.requested:
                raise Cancelled
            outputs.prepare(attempt)
            log = StepLog(self._context.folder.log(step.name, attempt))
            with outputs.watched():
                outcome = operation.run(
                    OperationSpec(
                        argv=step.argv,
                        cwd=f"~/{ready.code}",
                        env=self._context.variables.get(step.name, {}),
                        scratch=step.scratch,
                        timeout=step.timeout,
                        bin=ready.interpreter.bin,
                        pythonpath=[f"~/{ready.package}"] if step.package else [],
                        outputs=outputs.wish(attempt),
                    ),
                    output=log.append,
                    # The output that a dead controller has read is not requested again.
                    offset=log.size(),
                    started=lambda: self._context.journal.step_running(step.name),
                )
            outputs.finish(outcome)
            result = result_of(step, outcome)
            if result.state != "failed" or outcome.timed_out or outcome.over_budget:
                return result
            if not studio.was_restarted(machine_id, _RESTART_SECONDS if outcome.exit_code in _ENDED_BY_SIGNAL else 0):
                return result
            return replace(result, message=self._note_restart(studio, step, attempt), interrupted=True)
        except LostCommandError:
            if not studio.was_restarted(machine_id, 0):
                raise
            return StepResult("failed", None, self._note_restart(studio, step, attempt), interrupted=True)
        finally:
            with self._operations_lock:
                del self._operations[step.name]
            outputs.rescue(partial(ready.agent.pack_outputs, f"~/{ready.code}"), attempt)

    def _note_restart(self, studio: "_RunStudio", step: StepPlan, attempt: int) -> str:
        message = f"studio {studio.plan.name} was restarted by Lightning, which ended the step's command"
        self._context.note(step.name, attempt, message)
        return message

    def step_ended(self, step: str) -> None:
        """Release a studio as soon as its last step has ended."""
        studio = self._studio_of[step]
        if studio.step_ended(step):
            self._budgets.remove(studio.plan.name)
            threading.Thread(target=studio.close, name=f"release {studio.plan.name}").start()

    def stop_running(self) -> None:
        """Ask every running step to end, without waiting for it."""
        with self._operations_lock:
            operations = list(self._operations.values())
        for operation in operations:
            self._stop(operation)

    def _stop(self, operation: Operation) -> None:
        stop = partial(operation.stop, self._context.cancellation.grace)
        threading.Thread(target=best_effort, args=(stop,), daemon=True).start()

    def abandon(self, step: str, reason: str) -> None:
        """End the running attempt at a step, without waiting for it; the attempt has failed for `reason`."""
        with self._operations_lock:
            operation = self._operations.get(step)
        if operation is not None:
            self._context.abandoned[step] = reason
            self._stop(operation)

    def close(self) -> None:
        """Release every studio at once, also while it is in use."""
        self._budgets.close()
        threads = [threading.Thread(target=studio.close) for studio in self._studios]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class _RunStudio:
    """One studio of a run: leased, created, started, set up, released."""

    def __init__(self, context: RunContext, studio: StudioPlan) -> None:
        self.plan = studio
        self.machine = studio.machines[0] if studio.machines else None
        self._context = context
        self.prepared = SingleFlight(studio.name, self._prepare, context.cancellation)
        self._lock = threading.Lock()
        self._waking = threading.Lock()
        self._closed = False
        self._leased = False
        self._handle: StudioHandle | None = None
        self._account: str | None = None
        # The id of its machine when it was last known to run; a restart gives it another.
        self.machine_id = ""
        self._open_steps = set(studio.steps)
        self.costs = StudioCosts(context, studio.name, studio.steps[0] if len(studio.steps) == 1 else None)

    def _prepare(self) -> ReadyStudio:
        handle = self._start(self._create(self._account_of(self.machine)))
        self._note_machine(handle)
        return set_up(
            handle,
            self._context,
            name=self.plan.name,
            steps=self.plan.steps,
            requirements=self.plan.requirements,
            setup=self.plan.setup,
            kept=self.plan.keep,
        )

    def _account_of(self, machine: str | None) -> str | None:
        """Return the cloud account for one of its machines; None: Lightning's own choice."""
        if machine is None:
            return self._context.plan.cloud_account
        return self._context.accounts.of(self.plan.machines, machine)

    def _create(self, account: str | None) -> StudioHandle:
        # Under the lock, so that `close` either prevents the creation or finds the studio.
        with self._lock:
            if self._closed or self._context.cancellation.requested:
                raise Cancelled
            cloud = self._context.cloud
            if self.plan.keep:
                self._handle = self._join(account)
                self._check_account(self._handle)
            else:
                self._context.journal.lease("studio", self.plan.name, on_release="delete")
                self._leased = True
                self._handle = cloud.create_studio(self.plan.name, cloud_account=account)
            self._account = account
            return self._handle

    def _check_account(self, handle: StudioHandle) -> None:
        """Refuse a studio of the user's on another account than the plan names, because a studio stays on its own."""
        wanted, account = self._context.plan.cloud_account, handle.cloud_account
        if wanted and account and wanted != account:
            raise RefusedError(
                f"studio {self.plan.name!r} is on cloud account {account} for ever, and the plan names {wanted}; name "
                "another studio, or no account"
            )

    def _join(self, account: str | None = None) -> StudioHandle:
        def pause(seconds: float) -> None:
            if self._context.cancellation.wait(seconds):
                raise Cancelled

        self._leased = True
        return join(self._context.journal, self._context.cloud, self.plan.name, pause, account)

    @property
    def account(self) -> str | None:
        """The cloud account of the studio; None: unknown, or the default one."""
        return self._handle.cloud_account if self._handle is not None else self._account

    def outputs_of(self, step: StepPlan) -> StepOutputs:
        """Return the outputs of a step in the studio."""

        def studio() -> StudioHandle:
            if self._handle is None:
                raise CloudError(f"studio {self.plan.name!r} is not there yet")
            return self._handle

        name = studio_outputs_name(self._context.plan.run_id, step.name)
        return StepOutputs(self._context, step, StudioStore(studio, name))

    def wake(self) -> None:
        """Start a studio of the user's again if it was stopped meanwhile, as by a run of another computer."""
        with self._waking:
            try:
                if not self.plan.keep or self._handle is None or self._handle.is_up():
                    return
            except CloudError:
                # A failed call does not prove that the studio is stopped.
                return
            with self._lock:
                if self._closed:
                    raise Cancelled
                self._handle = self._join()
            self._start(self._handle)
            self._note_machine(self._handle)

    def _note_machine(self, handle: StudioHandle) -> None:
        with suppress(CloudError):
            self.machine_id = handle.machine_id()

    def was_restarted(self, machine_id: str, seconds: float) -> bool:
        """Return whether the studio gets, within some seconds, another machine than the one of this id.

        A studio that is stopped gets none: a person or Lightning wants it to stay so.
        """
        handle, deadline = self._handle, time.monotonic() + (seconds if retry.waits else 0)
        if handle is None or not machine_id:
            return False
        while True:
            with suppress(CloudError):
                handle.settle()
                if not handle.is_up():
                    return False
                self._note_machine(handle)
                if self.machine_id not in ("", machine_id):
                    return True
            if time.monotonic() > deadline or self._context.cancellation.requested:
                return False
            time.sleep(_POLL_SECONDS)

    def end_message(self) -> str:
        """Return Lightning's words about the end of the studio; empty if it runs, or without any."""
        try:
            return "" if self._handle is None or self._handle.is_up() else self._handle.message()
        except CloudError:
            return ""

    def _start(self, handle: StudioHandle) -> StudioHandle:
        """Start the studio on the first of its machines that is available, and return it."""
        if self.plan.keep and self.plan.machines:
            self._check_machine(handle, self.plan.machines[0])
        self.costs.begin(self.plan.machines[0] if self.plan.machines else DEFAULT_MACHINE, self.account)
        if not self.plan.machines:
            handle.start(None)
            return handle
        for machine in self.plan.machines:
            try:
                handle = self._on_account_of(machine, handle)
                # A studio that the user has started is not ours to stop.
                stop = not self.plan.keep or self._context.journal.owes_stop(self.plan.name)
                start_on(handle, machine, self._context.cancellation, stop=stop)
            except OutOfCapacityError as error:
                if machine == self.plan.machines[-1]:
                    raise
                self._context.journal.event(f"studio {self.plan.name}: {error}; trying the next machine")
                following = self.plan.machines[self.plan.machines.index(machine) + 1]
                self.costs.begin(following, self._account_of(following))
                continue
            self.machine = machine
            return handle
        raise CloudError(f"studio {self.plan.name!r} has no machine to run on")

    def _on_account_of(self, machine: str, handle: StudioHandle) -> StudioHandle:
        """Return the studio on the account of one of its machines; it is created again, as nothing is in it yet."""
        account = self._account_of(machine)
        if self.plan.keep or account == self._account:
            return handle
        handle.release(delete=True)
        return self._create(account)

    def _check_machine(self, handle: StudioHandle, machine: str) -> None:
        """Refuse to switch a studio's machine while another run uses it."""
        handle.settle()
        if not handle.is_running() or handle.runs_on(machine):
            return
        other = is_used_by_others(self._context.journal, handle)
        if other is not None:
            raise CloudError(
                f"studio {self.plan.name!r} does not run on {machine}, and switching it would end run {other}, which "
                "uses it; wait for its end, or name no main machine"
            )

    def step_ended(self, step: str) -> bool:
        """Return whether that was the studio's last step; an idle machine costs as much as a busy one."""
        self._open_steps.discard(step)
        return not self._open_steps and not self.plan.keep

    def close(self) -> None:
        """Release the studio; if that fails now, it stays in the journal as an open lease."""
        with self._lock:
            self._closed = True
            if not best_effort(self._context.journal.flush):
                return
            if self._leased and best_effort(self._release):
                self._leased = False
                best_effort(self.costs.close)

    def _kept_for_inspection(self) -> bool:
        policy = self._context.plan.keep_studios
        if policy != "on_failure":
            return policy == "always"
        records = self._context.journal.journal.steps(self._context.plan.run_id)
        return any(record.state == "failed" and record.name in self.plan.steps for record in records)

    def _release(self) -> None:
        if self.plan.keep:
            leave(self._context.journal, self._context.cloud, self.plan.name)
            return
        # There may be several studios of this name, because the answer to a creation may be lost.
        handles = [self._handle] if self._handle else self._context.cloud.find_studios(self.plan.name)
        for handle in handles:
            handle.release(delete=not self._kept_for_inspection())
        self._context.journal.released("studio", self.plan.name)
