"""The parts that every kind of run has: its controller, here or on Lightning, and its id in ZenML."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.constants import (
    ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL,
)
from zenml.models import PipelineRunUpdate

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.lightning.local import keeping
from lightning_native.zenml.component import (
    credentials_of,
    local_cloud_root,
    start_controller,
    step_environment,
)
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.handed_over import HOME, Hosted
from lightning_native.zenml.variables import ENV_PACKAGING, ENV_RUN_ID

if TYPE_CHECKING:
    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator


def drive(
    orchestrator: "LightningNativeOrchestrator",
    folder: RunFolder,
    plan: RunPlan,
    settings: LightningNativeOrchestratorSettings,
    pipeline_run: UUID | None,
    *,
    hosting: bool = False,
) -> Watch:
    """Start the controller of a run here; `hosting`: what it runs is itself the controller of a dynamic pipeline."""
    return start_controller(
        orchestrator,
        folder,
        plan,
        settings,
        synchronous=settings.synchronous,
        arguments=(
            *(("--pipeline-run", str(pipeline_run)) if pipeline_run else ()),
            *(("--hosting",) if hosting else ()),
        ),
        # ZenML shows a step that ends by a signal as failed unless it knows before that its run is stopping.
        stopping=lambda: _publish_stop(pipeline_run),
    )


def announce(pipeline_run: UUID, run_id: str) -> None:
    """Give the run its id now: ZenML refuses to stop a run that has none."""
    update = PipelineRunUpdate(orchestrator_run_id=run_id)
    Client().zen_store.update_run(run_id=pipeline_run, run_update=update)


def hosted_controller(
    run_id: str,
    argv: tuple[str, ...],
    pipeline_run: UUID | None,
    delete: str | None,
) -> Hosted:
    """Return what a controller on Lightning is to do."""
    return Hosted(run_id, argv, str(pipeline_run) if pipeline_run else None, delete)


def hosting_environment(
    orchestrator: "LightningNativeOrchestrator",
    docker: DockerSettings,
    environment: Mapping[str, str],
    settings: LightningNativeOrchestratorSettings,
    run_id: str,
) -> dict[str, str]:
    """Return the environment of a controller on Lightning, which signs in by itself."""
    # On the local cloud it has them from its machine, as any process there, and keeps the cloud running.
    local_cloud = local_cloud_root(settings)
    credentials = {} if settings.cloud == "local" else credentials_of(orchestrator, settings)
    # A controller needs credentials, which containers do not have, so it is in a studio also where steps are not.
    packaging = {ENV_PACKAGING: "source"} if settings.packaging == "image" else {}
    return {
        ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
        **step_environment(docker, environment, settings),
        **packaging,
        **credentials,
        **(keeping(local_cloud) if local_cloud else {}),
        ENV_RUN_ID: run_id,
        "LIGHTNING_NATIVE_HOME": f"~/{HOME}",
    }


def hand_over(
    orchestrator: "LightningNativeOrchestrator",
    folder: RunFolder,
    settings: LightningNativeOrchestratorSettings,
    pipeline_run: UUID | None,
) -> Watch:
    """Start the process that gives a run to a controller on Lightning."""
    published = ("--pipeline-run", str(pipeline_run)) if pipeline_run else ()
    return start_controller(
        orchestrator,
        folder,
        folder.plan(),
        settings,
        module="lightning_native.zenml.launch",
        arguments=("--component", str(orchestrator.id), *published),
    )


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish.publisher import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
