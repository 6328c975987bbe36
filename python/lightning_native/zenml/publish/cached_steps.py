"""The steps that turn out in mid-run to be in ZenML's cache: they are published, and no machine starts for them."""

import threading
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.orchestrators.step_run_utils import StepRunRequestFactory, publish_cached_step_run
from zenml.stack import Stack

from lightning_native.engine.result import StepResult
from lightning_native.zenml.compat import load_no_code


class CachedSteps:
    """The cache, for the steps of one run."""

    def __init__(self, pipeline_run: UUID) -> None:
        self._lock = threading.Lock()
        self._run = Client().get_pipeline_run(pipeline_run)
        self._factory: StepRunRequestFactory | None = None
        if self._run.snapshot is not None and self._run.snapshot.stack is not None:
            stack = Stack.from_model(self._run.snapshot.stack)
            self._factory = StepRunRequestFactory(snapshot=self._run.snapshot, pipeline_run=self._run, stack=stack)
            load_no_code(self._factory)

    def end_of(self, name: str) -> StepResult | None:
        """Publish a step whose upstream steps have ended and return its end, if it is cached; if not, return None."""
        if self._factory is None or not self._factory.has_caching_enabled(name):
            return None
        with self._lock:
            request = self._factory.create_request(name)
            self._factory.populate_request(request)
            if request.status != ExecutionStatus.CACHED:
                return None
            publish_cached_step_run(request, self._run)
        return StepResult("succeeded", message="its outputs are those that ZenML has in its cache")
