"""The steps of a pipeline that ZenML would take from its cache at submission, found without a run."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from zenml.client import Client
from zenml.logger import get_logger
from zenml.orchestrators.cache_utils import generate_cache_key, get_cached_step_run
from zenml.orchestrators.input_utils import resolve_step_inputs
from zenml.orchestrators.utils import is_setting_enabled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zenml.config.step_configurations import Step
    from zenml.models import PipelineRunResponse, StepRunResponse
    from zenml.stack import Stack

logger = get_logger(__name__)
# Inputs from a model's version are the run's affair, which does not exist yet.
_NO_RUN = cast("PipelineRunResponse", SimpleNamespace(model_version=None))


def cached_steps(steps: "Mapping[str, Step]", pipeline_configuration: Any, stack: "Stack") -> list[str]:
    """Return the names of the cached steps: those whose upstream steps are all cached, and whose key ZenML knows.

    Args:
        steps: the steps of a compiled pipeline, each after its upstream steps.
        pipeline_configuration: that of the pipeline.
        stack: the stack with the artifact store.
    """
    found: dict[str, StepRunResponse] = {}
    for name, step in steps.items():
        enabled = is_setting_enabled(
            is_enabled_on_step=step.config.enable_cache, is_enabled_on_pipeline=pipeline_configuration.enable_cache
        )
        if not enabled or not set(step.spec.upstream_steps) <= found.keys():
            continue
        try:
            cached = _cached_run(step, found, stack)
        except Exception as error:
            # Such as a cache function of the user's that fails: ZenML fails then, too, and names it.
            logger.warning("Whether step %s is cached shows only when it runs: %s", name, error)
            continue
        if cached is not None:
            found[name] = cached
    return list(found)


def _cached_run(step: "Step", found: "Mapping[str, StepRunResponse]", stack: "Stack") -> "StepRunResponse | None":
    inputs = resolve_step_inputs(step=step, pipeline_run=_NO_RUN, step_runs=dict(found))
    key = generate_cache_key(
        step=step,
        input_artifacts=inputs,
        artifact_store=stack.artifact_store,
        project_id=Client().active_project.id,
    )
    return get_cached_step_run(cache_key=key)
