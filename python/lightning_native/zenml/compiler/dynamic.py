"""The checks of dynamic pipelines: every setting ends in a plan, or in an error that names it."""

from typing import TYPE_CHECKING

from lightning_native.errors import PlanError
from lightning_native.zenml.compiler.docker_settings import check_docker_settings
from lightning_native.zenml.compiler.step import check_known
from lightning_native.zenml.config import orchestrator_settings
from lightning_native.zenml.step_process.inline_step import check_run_settings

if TYPE_CHECKING:
    from zenml.models import PipelineSnapshotResponse
    from zenml.orchestrators import ContainerizedOrchestrator

# The settings of a run that are about its graph, which a dynamic pipeline builds as it runs; each with the remedy.
_OF_A_GRAPH = {
    "budget": "keep a budget, because each of its isolated steps is a run of its own; limit the teamspace with: "
    "lightning-native budget set 50/month",
    "max_parallelism": "keep max_parallelism, because ZenML starts its steps; submit fewer of them at the same time",
    "machine_limits": "keep machine_limits, because ZenML starts its steps; submit fewer of them at the same time",
    "main_studio_name": "run in a studio of yours, because its controller needs one of its own; remove "
    "main_studio_name",
}


def check_dynamic(orchestrator: "ContainerizedOrchestrator", snapshot: "PipelineSnapshotResponse") -> None:
    """Refuse a dynamic pipeline that cannot run as it is written.

    Raises:
        PlanError: names the setting and the remedy.
    """
    settings = orchestrator_settings(orchestrator, snapshot)
    check_known("the pipeline", settings)
    for name, remedy in _OF_A_GRAPH.items():
        if getattr(settings, name) is not None:
            raise PlanError(f"a dynamic pipeline cannot {remedy}")
    if snapshot.schedule:
        raise PlanError("a dynamic pipeline cannot have a schedule, because Lightning's schedules have a fixed graph")
    if settings.packaging != "image":
        check_docker_settings("of the pipeline itself", snapshot.pipeline_configuration.docker_settings)
    for name, step in snapshot.step_configurations.items():
        check_known(f"step {name!r}", orchestrator_settings(orchestrator, step))
        check_run_settings(name, orchestrator_settings(orchestrator, step), settings)
