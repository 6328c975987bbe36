"""The observer of a ZenML run: it publishes each end that ZenML's own code in the steps could not report."""

import threading
from typing import TYPE_CHECKING
from uuid import UUID

from lightning_native.engine.execution.run_plan import Abandon
from lightning_native.engine.process.controller import RunObserver
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.zenml.publish.publication_lock import end_publication, is_promised, wait_for_promise

if TYPE_CHECKING:
    from lightning_native.zenml.publish.publisher import RunPublisher

# Most runs are over by then, and never need ZenML here.
_FIRST_CHECK_SECONDS = 60.0
_HOSTED_GRACE_SECONDS = 120.0
# ZenML's modules import each other: two threads that load them at once each find modules half loaded, and fail.
_LOADING = threading.Lock()


class ZenMLObserver(RunObserver):
    """Publishes steps and runs whose end ZenML's own code in the steps did not report."""

    def __init__(self, folder: RunFolder, pipeline_run: UUID, *, steps: bool = True) -> None:
        """Publish to a ZenML run; `steps`: whether the steps are ZenML's, rather than one controller of them all."""
        self._folder = folder
        self._pipeline_run = pipeline_run
        self._steps = steps
        self._stopped: dict[str, StepResult] = {}
        if not steps:
            # The step is itself a controller, which first stops and releases the runs that it has submitted.
            self.grace = self.forced_grace = _HOSTED_GRACE_SECONDS

    def on_start(self, abandon: Abandon) -> None:
        """Watch the heartbeats of steps that run for longer than a minute."""
        if self._steps:
            watch = threading.Timer(_FIRST_CHECK_SECONDS, self._watch_heartbeats, [abandon])
            watch.daemon = True
            watch.start()

    def _watch_heartbeats(self, abandon: Abandon) -> None:
        with _LOADING:
            from lightning_native.zenml.publish.heartbeats import watch_heartbeats

        watch_heartbeats(self._pipeline_run, abandon)

    def on_stop(self) -> None:
        """Load ZenML while the steps are being stopped, because importing it takes about as long."""
        if not is_promised(self._folder):
            self._publisher()

    def step_ended(self, name: str, result: StepResult) -> None:
        """Publish a step that failed; a stopped one is published after the run has released what it held."""
        if not self._steps:
            return
        if result.state == "stopped":
            self._stopped[name] = result
        elif result.state == "failed":
            self._publisher().steps_ended({name: result})

    def run_ended(self, state: RunState, message: str) -> None:
        """Publish a run that did not complete, unless the process that stopped it does."""
        if state == "completed":
            return
        wait_for_promise(self._folder)
        with end_publication(self._folder) as publication:
            if publication.is_done:
                return
            publisher = self._publisher()
            publisher.steps_ended(self._stopped)
            publisher.run_ended(state, message, settle_steps=not self._steps)
            publication.done()

    def _publisher(self) -> "RunPublisher":
        # ZenML takes a second to import and is needed only when something goes wrong.
        with _LOADING:
            from lightning_native.zenml.publish.publisher import RunPublisher

        return RunPublisher(self._pipeline_run)
