"""The publisher of steps and runs that could not report their own end to ZenML."""

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import ExceptionInfo, PipelineRunUpdate, StepRunResponse, StepRunUpdate
from zenml.orchestrators.publish_utils import publish_pipeline_run_status_update, publish_step_run_status_update
from zenml.orchestrators.step_run_utils import StepRunRequestFactory
from zenml.utils.pagination_utils import depaginate
from zenml.utils.time_utils import utc_now

from lightning_native.engine.record.records import RunState
from lightning_native.engine.result import StepResult
from lightning_native.zenml.publish.comparison import compared_run, compared_step


class RunPublisher:
    """Publishes one ZenML run."""

    def __init__(self, pipeline_run_id: UUID) -> None:
        self._run_id = pipeline_run_id

    def steps_ended(self, results: Mapping[str, StepResult]) -> None:
        """Publish the failed and stopped ones of these steps that ZenML believes to be running, or does not know."""
        open_results = {name: result for name, result in results.items() if result.state in ("failed", "stopped")}
        if not open_results:
            return
        known = {step_run.name: step_run for step_run in self._step_runs(*open_results)}
        for name, result in open_results.items():
            self._step_ended(name, result, known.get(name))

    def compared(self, name: str, result: StepResult) -> StepResult:
        """Return the end of an attempt at a step that agrees with ZenML's record of the step."""
        return compared_step(next(iter(self._step_runs(name)), None), result)

    def compared_run(self, result: StepResult) -> StepResult:
        """Return the end of a dynamic pipeline's process that agrees with ZenML's record of the run."""
        return compared_run(self._run_id, result)

    def _step_runs(self, *names: str) -> list[StepRunResponse]:
        """Return the current attempts at the run's steps, at least of those named."""
        return depaginate(
            Client().list_run_steps,
            name=names[0] if len(names) == 1 else None,
            pipeline_run_id=self._run_id,
            exclude_retried=True,
            size=1000,
            hydrate=False,
        )

    def _step_ended(self, name: str, result: StepResult, step_run: StepRunResponse | None) -> None:
        status = ExecutionStatus.FAILED if result.state == "failed" else ExecutionStatus.STOPPED
        if step_run is not None:
            waits_for_retry = step_run.status == ExecutionStatus.RETRYING and status == ExecutionStatus.FAILED
            if not step_run.status.is_finished and not waits_for_retry:
                step_run = publish_step_run_status_update(
                    step_run.id, status, exception_info=_exception_info(result.message)
                )
            finished = step_run.status.is_finished
        else:
            finished = result.state == "stopped"
        if not finished:
            self._create_failed_step(name, result)

    def _create_failed_step(self, name: str, result: StepResult) -> None:
        """Create the step as failed, once for each attempt that ZenML still expects."""
        client = Client()
        run = client.get_pipeline_run(self._run_id)
        if run.snapshot is None:
            return
        factory = StepRunRequestFactory(snapshot=run.snapshot, pipeline_run=run, stack=client.active_stack)
        request = factory.create_request(name)
        # A step that never began may have inputs that do not exist.
        with suppress(Exception):
            factory.populate_request(request)
        request.status = ExecutionStatus.FAILED
        request.end_time = utc_now()
        request.exception_info = _exception_info(result.message)
        while client.zen_store.create_run_step(request).status == ExecutionStatus.RETRYING:
            pass

    def run_ended(self, state: RunState, message: str, *, settle_steps: bool = False) -> None:
        """Publish the run's end if ZenML does not know it from the steps.

        Args:
            state: how it ended.
            message: why.
            settle_steps: publish the steps that are still open as well; a dynamic pipeline's have no other publisher.
        """
        run = Client().get_pipeline_run(self._run_id)
        if state == "completed":
            return
        info = _exception_info(message)
        if run.status.is_finished:
            if run.status == ExecutionStatus.FAILED and run.exception_info is None:
                # ZenML concludes the status from the steps, and no reason.
                Client().zen_store.update_run(run_id=self._run_id, run_update=PipelineRunUpdate(exception_info=info))
            return
        if settle_steps:
            self._settle_steps(ExecutionStatus.STOPPED if state == "stopped" else ExecutionStatus.FAILED, message)
        if state == "stopped":
            self.run_stopping(message)
            if settle_steps:
                self._run_stopped(message)
        else:
            update = PipelineRunUpdate(status=ExecutionStatus.FAILED, exception_info=info)
            Client().zen_store.update_run(run_id=self._run_id, run_update=update)

    def _settle_steps(self, status: ExecutionStatus, message: str) -> None:
        info = _exception_info(message)
        for step in self._step_runs():
            if not step.status.is_finished:
                publish_step_run_status_update(step.id, status, exception_info=info)

    def _run_stopped(self, reason: str) -> None:
        """Publish that the run is stopped, unless its steps have reported that to ZenML."""
        if not Client().get_pipeline_run(self._run_id, hydrate=False).status.is_finished:
            publish_pipeline_run_status_update(self._run_id, ExecutionStatus.STOPPED, status_reason=reason[:250])

    def run_stopping(self, reason: str) -> None:
        """Publish that the run is being stopped; ZenML makes it `stopped` when its last step has ended."""
        if not Client().get_pipeline_run(self._run_id, hydrate=False).status.is_finished:
            publish_pipeline_run_status_update(self._run_id, ExecutionStatus.STOPPING, status_reason=reason[:250])


def publish_reason(step_run: UUID, reason: str) -> None:
    """Give a step that did not succeed its reason in ZenML, unless its own process has; its status stays."""
    if reason and Client().get_run_step(step_run).exception_info is None:
        Client().zen_store.update_run_step(step_run, StepRunUpdate(exception_info=_exception_info(reason)))


def _exception_info(reason: str) -> ExceptionInfo:
    # ZenML raises the message in the process that waits for a step, and shows the traceback.
    return ExceptionInfo(traceback=reason, message=reason)
