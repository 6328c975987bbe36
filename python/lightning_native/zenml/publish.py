"""Tells ZenML how steps and runs ended when they could not tell it themselves."""

from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import ExceptionInfo, PipelineRunUpdate
from zenml.orchestrators.publish_utils import publish_pipeline_run_status_update, publish_step_run_status_update
from zenml.orchestrators.step_run_utils import StepRunRequestFactory
from zenml.utils.time_utils import utc_now

from lightning_native.engine.executor import StepResult
from lightning_native.engine.journal import RunState


class RunPublisher:
    """Publishes one ZenML run."""

    def __init__(self, pipeline_run_id: UUID) -> None:
        self._run_id = pipeline_run_id

    def step_ended(self, name: str, result: StepResult) -> None:
        """Publish a failed or stopped step that ZenML still believes to be running, or never heard of."""
        if result.state not in ("failed", "stopped"):
            return
        status = ExecutionStatus.FAILED if result.state == "failed" else ExecutionStatus.STOPPED
        known = Client().list_run_steps(
            name=name, pipeline_run_id=self._run_id, exclude_retried=True, size=1, hydrate=False
        )
        if known.items:
            step_run = known.items[0]
            waits_for_retry = step_run.status == ExecutionStatus.RETRYING and status == ExecutionStatus.FAILED
            if not step_run.status.is_finished and not waits_for_retry:
                step_run = publish_step_run_status_update(step_run.id, status, exception_info=_exception_info(result))
            finished = step_run.status.is_finished
        else:
            finished = result.state == "stopped"
        if not finished:
            self._create_failed_step(name, result)

    def _create_failed_step(self, name: str, result: StepResult) -> None:
        """Make the step known as failed, in as many versions as ZenML believes that there will be attempts."""
        client = Client()
        run = client.get_pipeline_run(self._run_id)
        if run.snapshot is None:
            return
        factory = StepRunRequestFactory(snapshot=run.snapshot, pipeline_run=run, stack=client.active_stack)
        request = factory.create_request(name)
        factory.populate_request(request)
        request.status = ExecutionStatus.FAILED
        request.end_time = utc_now()
        request.exception_info = _exception_info(result)
        while client.zen_store.create_run_step(request).status == ExecutionStatus.RETRYING:
            pass

    def run_ended(self, state: RunState, message: str, *, settle_steps: bool = False) -> None:
        """Publish the run's end if ZenML does not know it from the steps.

        Args:
            state: how it ended.
            message: why.
            settle_steps: publish the steps that are still open, too: of a dynamic pipeline, nobody else will.
        """
        status = Client().get_pipeline_run(self._run_id, hydrate=False).status
        if status.is_finished or state == "completed":
            return
        if settle_steps:
            self._settle_steps(ExecutionStatus.STOPPED if state == "stopped" else ExecutionStatus.FAILED, message)
        if state == "stopped":
            self.run_stopping(message)
            if settle_steps:
                self._run_stopped(message)
        else:
            info = ExceptionInfo(traceback=message)
            update = PipelineRunUpdate(status=ExecutionStatus.FAILED, exception_info=info)
            Client().zen_store.update_run(run_id=self._run_id, run_update=update)

    def _settle_steps(self, status: ExecutionStatus, message: str) -> None:
        info = ExceptionInfo(traceback=message)
        steps = Client().list_run_steps(pipeline_run_id=self._run_id, exclude_retried=True, size=1000, hydrate=False)
        for step in steps.items:
            if not step.status.is_finished:
                publish_step_run_status_update(step.id, status, exception_info=info)

    def _run_stopped(self, reason: str) -> None:
        """Publish that the run is stopped, where its steps have not told ZenML so."""
        if not Client().get_pipeline_run(self._run_id, hydrate=False).status.is_finished:
            publish_pipeline_run_status_update(self._run_id, ExecutionStatus.STOPPED, status_reason=reason[:250])

    def run_stopping(self, reason: str) -> None:
        """Publish that the run is being stopped; ZenML makes it `stopped` when its last step has ended."""
        if not Client().get_pipeline_run(self._run_id, hydrate=False).status.is_finished:
            publish_pipeline_run_status_update(self._run_id, ExecutionStatus.STOPPING, status_reason=reason[:250])


def _exception_info(result: StepResult) -> ExceptionInfo:
    return ExceptionInfo(traceback=result.message)
