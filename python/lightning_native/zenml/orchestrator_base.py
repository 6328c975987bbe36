"""What every kind of run of the orchestrator needs: settings, and who drives it."""

import os
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.constants import (
    ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL,
)
from zenml.logger import get_logger
from zenml.models import PipelineRunUpdate
from zenml.orchestrators import ContainerizedOrchestrator, WheeledOrchestrator
from zenml.utils import source_utils

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.zenml.component import (
    credentials_of,
    local_cloud_root,
    settings_of,
    start_controller,
    step_environment,
)
from lightning_native.zenml.config import LightningNativeOrchestratorConfig, LightningNativeOrchestratorSettings
from lightning_native.zenml.entrypoints import ENV_PACKAGING, ENV_RUN_ID
from lightning_native.zenml.handed_over import HOME, Hosted
from lightning_native.zenml.images import check_builds
from lightning_native.zenml.schedules import (
    ENV_PIPELINE_ID,
)
from lightning_native.zenml.wheels import build_wheel, copy_project, package_name

if TYPE_CHECKING:
    from zenml.config.build_configuration import BuildConfiguration
    from zenml.models import PipelineSnapshotBase

logger = get_logger(__name__)


class LightningOrchestratorBase(ContainerizedOrchestrator, WheeledOrchestrator, ABC):
    """The settings of the orchestrator, how code reaches its steps, and the controllers of its runs."""

    @property
    def config(self) -> LightningNativeOrchestratorConfig:
        """The configuration of the component."""
        return cast(LightningNativeOrchestratorConfig, self._config)

    @property
    def settings_class(self) -> type[LightningNativeOrchestratorSettings]:
        """The class of the settings."""
        return LightningNativeOrchestratorSettings

    def get_orchestrator_run_id(self) -> str:
        """Return the id of the run this process executes a step of."""
        # All jobs of one run that a schedule made have the same pipeline, which no other run has.
        run_id = os.environ.get(ENV_RUN_ID) or os.environ.get(ENV_PIPELINE_ID)
        if not run_id:
            raise RuntimeError(f"{ENV_RUN_ID} is not set: this process does not run a step of a pipeline")
        return run_id

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> "list[BuildConfiguration]":
        """Return the images that ZenML is to build, or take as they are: none unless steps run in images.

        Raises:
            PlanError: Lightning could not pull what would be built.
        """
        settings = self._settings_of(snapshot)
        if settings.packaging != "image":
            return []
        builds = super().get_docker_builds(snapshot)
        check_builds(builds, settings)
        return builds

    def copy_repository_to_temp_dir_and_add_setup_py(self) -> str:
        """Copy what an archive of the source root would have beside a `setup.py`, and return the folder."""
        root = Path(source_utils.get_source_root())
        self.package_name = package_name(root)
        return str(copy_project(root))

    def create_wheel(self, temp_dir: str) -> str:
        """Make a wheel of such a folder, without asking a package index, and return its path."""
        return str(build_wheel(Path(temp_dir)))

    def _settings_of(self, container: object) -> LightningNativeOrchestratorSettings:
        return cast(LightningNativeOrchestratorSettings, settings_of(self, container))

    def _own_settings(self) -> LightningNativeOrchestratorSettings:
        return LightningNativeOrchestratorSettings.model_validate(self.config.model_dump(exclude_unset=True))

    def _drive(
        self,
        folder: RunFolder,
        plan: RunPlan,
        settings: LightningNativeOrchestratorSettings,
        pipeline_run: UUID | None,
        *,
        hosting: bool = False,
    ) -> Watch:
        return start_controller(
            self,
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

    def _announce(self, pipeline_run: UUID, run_id: str) -> None:
        """Give the run its id now: ZenML refuses to stop a run that has none."""
        update = PipelineRunUpdate(orchestrator_run_id=run_id)
        Client().zen_store.update_run(run_id=pipeline_run, run_update=update)

    def _hosted(
        self,
        run_id: str,
        argv: tuple[str, ...],
        settings: LightningNativeOrchestratorSettings,
        pipeline_run: UUID | None,
        delete: str | None,
    ) -> Hosted:
        local = str(local_cloud_root()) if settings.cloud == "local" else None
        return Hosted(run_id, argv, str(pipeline_run) if pipeline_run else None, local, delete)

    def _hosting_environment(
        self,
        docker: DockerSettings,
        environment: Mapping[str, str],
        settings: LightningNativeOrchestratorSettings,
        run_id: str,
    ) -> dict[str, str]:
        """Return the environment of a controller on Lightning, which signs in by itself."""
        credentials = {} if settings.cloud == "local" else credentials_of(self, settings)
        # A controller needs credentials, which containers do not have, so it is in a studio also where steps are not.
        packaging = {ENV_PACKAGING: "source"} if settings.packaging == "image" else {}
        return {
            ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
            **step_environment(docker, environment, settings),
            **packaging,
            **credentials,
            ENV_RUN_ID: run_id,
            "LIGHTNING_NATIVE_HOME": f"~/{HOME}",
        }

    def _hand_over(
        self, folder: RunFolder, settings: LightningNativeOrchestratorSettings, pipeline_run: UUID | None
    ) -> Watch:
        published = ("--pipeline-run", str(pipeline_run)) if pipeline_run else ()
        return start_controller(
            self,
            folder,
            folder.plan(),
            settings,
            module="lightning_native.zenml.launch",
            arguments=("--component", str(self.id), *published),
        )


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
