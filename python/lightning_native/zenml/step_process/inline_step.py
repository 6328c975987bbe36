"""The checks of a dynamic pipeline's steps, which nobody knows before the pipeline calls them."""

from typing import TYPE_CHECKING

from lightning_native.errors import PlanError
from lightning_native.zenml.compat import runs_inline
from lightning_native.zenml.config import LightningNativeOrchestratorSettings, orchestrator_settings

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.orchestrators import ContainerizedOrchestrator

_OF_THE_RUN = (
    "run_timeout",
    "max_parallelism",
    "machine_limits",
    "main_studio_name",
    "budget",
    "timezone",
    "synchronous",
)
# An inline step is a function call in the pipeline's own process: it has no machine, and nothing can end it.
_OF_A_MACHINE = ("machine_type", "machines", "interruptible", "custom_commands", "keep_alive", "tags")
_OF_A_PROCESS = ("step_timeout", "outputs", "outputs_every")


def check_run_settings(
    step: str, own: LightningNativeOrchestratorSettings, pipeline: LightningNativeOrchestratorSettings
) -> None:
    """Refuse a step that sets what is a setting of the whole run, or a runtime.

    Raises:
        PlanError: names the setting and the remedy.
    """
    for name in _OF_THE_RUN:
        if getattr(own, name) != getattr(pipeline, name):
            raise PlanError(
                f"step {step!r} of a dynamic pipeline sets {name}, which is a setting of the whole run; set it on the "
                "pipeline"
            )
    if own.runtime is not None:
        raise PlanError(
            f"step {step!r} of a dynamic pipeline sets runtime; call lightning_native.jobs.run_runtime in it instead"
        )


def check_inline(orchestrator: "ContainerizedOrchestrator", info: "StepRunInfo") -> None:
    """Refuse an inline step with settings that only a process or machine of its own can keep.

    Raises:
        PlanError: names the setting and the remedy.
    """
    if not runs_inline(orchestrator, info):
        return
    own, pipeline = orchestrator_settings(orchestrator, info), orchestrator_settings(orchestrator, info.snapshot)
    check_run_settings(info.pipeline_step_name, own, pipeline)
    refused = [name for name in _OF_A_MACHINE if getattr(own, name) != getattr(pipeline, name)]
    refused += [name for name in _OF_A_PROCESS if getattr(own, name)]
    if refused:
        raise PlanError(
            f"step {info.pipeline_step_name!r} runs inline, in the process of its pipeline, where {refused[0]} has no "
            "effect; run it with runtime=StepRuntime.ISOLATED, or remove the setting"
        )
