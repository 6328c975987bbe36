"""The observer of a ZenML run: it publishes each end that ZenML's own code in the steps could not report."""

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from lightning_native.engine.execution.run_plan import Abandon
from lightning_native.engine.process.controller import RunObserver
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.zenml.publish.publication_lock import end_publication, is_promised, wait_for_promise
from lightning_native.zenml.step_process.confirmed_end import UNCONFIRMED, UNCONFIRMED_EXIT_CODE

if TYPE_CHECKING:
    from lightning_native.zenml.publish.cached_steps import CachedSteps
    from lightning_native.zenml.publish.publisher import RunPublisher

# Most runs are over by then, and never need ZenML here.
_FIRST_CHECK_SECONDS = 60.0
_FIRST_STOP_CHECK_SECONDS = 10.0
_HOSTED_GRACE_SECONDS = 120.0
# ZenML's modules import each other: two threads that load them at once each find modules half loaded, and fail.
_LOADING = threading.Lock()


def _start_after(seconds: float, call: Callable[[], object]) -> None:
    """Call a function in a thread of its own, which ends with this process."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _may_disagree(result: StepResult) -> bool:
    """Return whether ZenML may have recorded another end than this one.

    A process that ended with 0 has confirmed that ZenML knows (`step_process.confirmed_end`), also if it was told to
    stop meanwhile. Any other may have died after its work was recorded.
    """
    return result.state == "failed" or (result.state == "stopped" and result.exit_code == 0)


def _explained(result: StepResult) -> StepResult:
    """Return the end of an attempt with its reason, where the exit code stands for one."""
    is_unconfirmed = result.state == "failed" and result.exit_code == UNCONFIRMED_EXIT_CODE
    return replace(result, message=UNCONFIRMED) if is_unconfirmed else result


class StepObserver(RunObserver):
    """The observer of a single step that ZenML has created and publishes, as that of a step operator."""

    def __init__(self, step_run: UUID) -> None:
        self._step_run = step_run

    def compared(self, step: str, result: StepResult) -> StepResult:  # noqa: ARG002  of the interface
        """Return the end of an attempt that agrees with ZenML's record of the step."""
        if not _may_disagree(result):
            return result
        with _LOADING:
            from zenml.client import Client

            from lightning_native.zenml.publish.comparison import compared_step
        return compared_step(Client().get_run_step(self._step_run, hydrate=False), _explained(result))


class ZenMLObserver(RunObserver):
    """Publishes steps and runs whose end ZenML's own code in the steps did not report."""

    def __init__(
        self,
        folder: RunFolder,
        pipeline_run: UUID,
        *,
        steps: bool = True,
        inner_steps: Collection[str] = (),
        may_be_cached: bool = False,
    ) -> None:
        """Publish to a ZenML run.

        Args:
            folder: of the run.
            pipeline_run: ZenML's id of the run.
            steps: whether the steps are ZenML's, rather than one controller of them all.
            inner_steps: those of the run that the one controller is to drive, which never begin if it fails.
            may_be_cached: whether a step may turn out to be cached when its upstream steps have ended.
        """
        self._folder = folder
        self._may_be_cached = may_be_cached
        self._cached_steps: CachedSteps | None = None
        self._inner_steps = inner_steps
        self._pipeline_run = pipeline_run
        self._steps = steps
        self._stopped: dict[str, StepResult] = {}
        if not steps:
            # The step is itself a controller, which first stops and releases the runs that it has submitted.
            self.grace = self.forced_grace = _HOSTED_GRACE_SECONDS

    def on_drive(self) -> None:
        """Watch ZenML for requests to stop the run."""
        _start_after(_FIRST_STOP_CHECK_SECONDS, self._watch_for_stop)
        if self._may_be_cached:
            # While studios start, because importing ZenML takes a while.
            _start_after(0.0, self._publisher)

    def on_start(self, abandon: Abandon) -> None:
        """Watch the heartbeats of steps that run for longer than a minute."""
        if self._steps:
            _start_after(_FIRST_CHECK_SECONDS, partial(self._watch_heartbeats, abandon))

    def _watch_for_stop(self) -> None:
        with _LOADING:
            from lightning_native.zenml.publish.stop_requests import watch_for_stop

        watch_for_stop(self._pipeline_run, self._folder)

    def known_end(self, step: str) -> StepResult | None:
        """Return the end of a step that turns out to be cached, and publish it."""
        if not self._may_be_cached:
            return None
        with _LOADING:
            from lightning_native.zenml.publish.cached_steps import CachedSteps

            self._cached_steps = self._cached_steps or CachedSteps(self._pipeline_run)
        return self._cached_steps.end_of(step)

    def _watch_heartbeats(self, abandon: Abandon) -> None:
        with _LOADING:
            from lightning_native.zenml.publish.heartbeats import watch_heartbeats

        watch_heartbeats(self._pipeline_run, abandon)

    def on_stop(self) -> None:
        """Load ZenML while the steps are being stopped, because importing it takes about as long."""
        if not is_promised(self._folder):
            self._publisher()

    def compared(self, step: str, result: StepResult) -> StepResult:
        """Return the end of an attempt that agrees with ZenML's record of the step, or of the dynamic run."""
        if not _may_disagree(result):
            return result
        if self._steps:
            return self._publisher().compared(step, _explained(result))
        return self._publisher().compared_run(result)

    def step_ended(self, name: str, result: StepResult) -> None:
        """Publish a step that failed; a stopped one is published after the run has released what it held."""
        if not self._steps:
            if result.state == "failed" and self._inner_steps:
                self._publisher().steps_ended(dict.fromkeys(self._inner_steps, result))
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
