"""The records of a run's steps that its front end keeps itself, as ZenML does, and with which the engine's agree."""

from lightning_native.engine.result import StepResult


class StepRecords:
    """The records of a front end; this one keeps none. Its methods are called in the threads of steps."""

    def known_end(self, step: str) -> StepResult | None:
        """Return the end of a step that is about to start, where the step need not run; None: it has to."""

    def compared(self, step: str, result: StepResult) -> StepResult:  # noqa: ARG002  of the interface
        """Return the end of an attempt at a step as it is recorded; without a record, the result itself."""
        return result
