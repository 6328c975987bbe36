"""Steps as commands in studios: the main studio, and one of its own for each step that asks for another machine."""

import signal
import threading
from dataclasses import replace
from functools import partial

from lightning_native.agent_protocol import OperationSpec
from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.step_outputs import StepOutputs
from lightning_native.engine.outputs.store import StudioStore
from lightning_native.engine.placements.base import run_safely
from lightning_native.engine.placements.job_end import Verdict, verdict_of
from lightning_native.engine.placements.stopping import stop_until_over
from lightning_native.engine.placements.studio_budget import StudioBudgets
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.planning.layout import studio_layout
from lightning_native.engine.record.run_folder import StepLog
from lightning_native.engine.resource_names import studio_outputs_name
from lightning_native.engine.result import StepResult, result_of
from lightning_native.engine.studios.agent_client import LostCommandError, Operation
from lightning_native.engine.studios.run_studio import RunStudio
from lightning_native.errors import CloudError, RefusedError
from lightning_native.lightning.cloud import JobEnd

# A command that a machine's end has ended may be reported before the studio has its next machine.
_ENDED_BY_SIGNAL = (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGKILL)
_RESTART_SECONDS = 10.0


class StudioPlacement:
    """Runs the steps of one plan in studios, each prepared once, for the first step that needs it."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._studios = [RunStudio(context, studio) for studio in studio_layout(context.plan)]
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
        if self._is_stopped_by_us(step):
            return None
        message = studio.end_message()
        return verdict_of("stopped", JobEnd(message), interruptible=False, what="studio") if message else None

    def _is_stopped_by_us(self, step: StepPlan) -> bool:
        return self._context.cancellation.requested or step.name in self._context.abandoned

    def _run_command(self, step: StepPlan, attempt: int) -> StepResult:
        studio = self._studio_of[step.name]
        asked_for = studio.machine
        self._context.journal.step_preparing(step.name, attempt, studio.plan.name, asked_for)
        if attempt > 1 or studio.is_suspect:
            studio.replace_if_lost()
        ready = studio.prepared.wait()
        studio.wake()
        if studio.machine != asked_for:
            self._context.journal.step_preparing(step.name, attempt, studio.plan.name, studio.machine)
        machine_id = studio.machine_id
        self._budgets.add(studio.plan.name, ready, ours=not studio.plan.keep)
        operation = ready.operation(self._context.operation_id(step.name, attempt))
        with self._operations_lock:
            self._operations[step.name] = operation
        outputs = self._outputs_of(step)
        begun = threading.Event()
        try:
            if self._context.cancellation.requested:
                raise Cancelled
            outputs.prepare(attempt)
            log = StepLog(self._context.folder.log(step.name, attempt))
            with outputs.watched(), studio.costs.working():
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
                    started=partial(self._started, step, begun),
                )
            outputs.finish(outcome)
            result = result_of(step, outcome, output=self._context.output_of(step.name, attempt))
            if result.state == "succeeded" or outcome.timed_out or outcome.over_budget or self._is_stopped_by_us(step):
                return result
            # Also a command that took the time to end in order when its machine ended.
            by_signal = outcome.stopped or outcome.exit_code in _ENDED_BY_SIGNAL
            if not studio.was_restarted(machine_id, _RESTART_SECONDS if by_signal else 0):
                return result
            message = self._note_restart(studio, step, attempt)
            return replace(result, state="failed", message=message, interrupted=True)
        except LostCommandError as error:
            if studio.was_restarted(machine_id, 0):
                return StepResult("failed", None, self._note_restart(studio, step, attempt), interrupted=True)
            studio.is_suspect = True
            if begun.is_set() or self._verdict(step) is not None or not studio.may_be_replaced():
                raise
            return StepResult("failed", None, str(error), interrupted=True)
        finally:
            with self._operations_lock:
                del self._operations[step.name]
            outputs.rescue(partial(ready.agent.pack_outputs, f"~/{ready.code}"), attempt)

    def _outputs_of(self, step: StepPlan) -> StepOutputs:
        studio = self._studio_of[step.name]
        name = studio_outputs_name(self._context.plan.run_id, step.name)
        return StepOutputs(self._context, step, StudioStore(lambda: studio.handle, name))

    def _started(self, step: StepPlan, begun: threading.Event) -> None:
        begun.set()
        self._context.journal.step_running(step.name)

    def _note_restart(self, studio: RunStudio, step: StepPlan, attempt: int) -> str:
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
            operations = list(self._operations.items())
        for step, operation in operations:
            self._stop(step, operation)

    def _stop(self, step: str, operation: Operation) -> None:
        studio, grace = self._studio_of[step], self._context.cancellation.grace
        stop_until_over(
            self._context,
            f"step {step} in studio {studio.plan.name}",
            stop=partial(operation.stop, grace),
            # Others may use a studio of the user's.
            harder=None if studio.plan.keep else studio.stop_by_force,
            is_over=lambda: self._operations.get(step) is not operation,
            grace=grace,
        )

    def abandon(self, step: str, reason: str) -> None:
        """End the running attempt at a step, without waiting for it; the attempt has failed for `reason`."""
        with self._operations_lock:
            operation = self._operations.get(step)
        if operation is not None:
            self._context.abandoned[step] = reason
            self._stop(step, operation)

    def close(self) -> None:
        """Release every studio at once, also while it is in use."""
        self._budgets.close()
        threads = [threading.Thread(target=studio.close) for studio in self._studios]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
