"""Dynamic pipelines: each in a studio of its own, which brings isolated steps to Lightning."""

from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.client import Client
from zenml.constants import (
    METADATA_ORCHESTRATOR_LOGS_URL,
    METADATA_ORCHESTRATOR_RUN_ID,
    METADATA_ORCHESTRATOR_URL,
)
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult
from zenml.orchestrators.utils import get_config_environment_vars
from zenml.utils.env_utils import get_runtime_environment

from lightning_native.engine.checks import check_plan
from lightning_native.errors import PlanError
from lightning_native.zenml.compiler import main_machines
from lightning_native.zenml.component import (
    newest_folder,
    next_folder,
    packed_root,
    reached,
    warn_of_python,
)
from lightning_native.zenml.entrypoints import (
    ENV_RUN_ID,
    LightningNativeDynamicEntrypointConfiguration,
    LightningNativeIsolatedStepEntrypointConfiguration,
)
from lightning_native.zenml.environment import check_docker_settings
from lightning_native.zenml.handed_over import STEP
from lightning_native.zenml.hosting import (
    controller_studio,
    hosting_plan,
    logs_command,
)
from lightning_native.zenml.images import isolated_image
from lightning_native.zenml.metadata import (
    studio_url,
)
from lightning_native.zenml.older import get_step_entrypoint_command
from lightning_native.zenml.orchestrator_base import LightningOrchestratorBase
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.single_step import step_status, stop_step, submit_step, wait_for_step
from lightning_native.zenml.status import is_unfinished

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotResponse,
        StepRunResponse,
    )
    from zenml.stack import Stack

logger = get_logger(__name__)


class DynamicPipelines(LightningOrchestratorBase, ABC):
    """Submits dynamic pipelines and their isolated steps."""

    def submit_dynamic_pipeline(
        self,
        snapshot: "PipelineSnapshotResponse",
        stack: "Stack",
        environment: dict[str, str],
        placeholder_run: "PipelineRunResponse | None" = None,
    ) -> SubmissionResult:
        """Have a dynamic pipeline run in a studio of its own, which brings isolated steps to Lightning.

        A run that was submitted before goes on: in its studio if that is there, else in a new one.

        Raises:
            PlanError: the pipeline cannot run as it is written.
            CredentialsError: credentials are missing.
            ArchiveError: the source root cannot be packed.
        """
        settings = self._settings_of(snapshot)
        configuration = snapshot.pipeline_configuration
        pipeline_run = placeholder_run.id if placeholder_run else None
        run_id = (placeholder_run.orchestrator_run_id if placeholder_run else None) or uuid4().hex
        with reached(self, settings) as environ:
            folder = newest_folder(run_id)
            if not is_unfinished(folder):
                if settings.packaging != "image":
                    check_docker_settings("of the pipeline itself", configuration.docker_settings)
                for name, step in snapshot.step_configurations.items():
                    if self._settings_of(step).runtime is not None:
                        raise PlanError(
                            f"step {name!r} of a dynamic pipeline sets runtime; "
                            "call lightning_native.jobs.run_runtime in it instead"
                        )
                machines = main_machines(snapshot, settings, lambda: read_price_list(environ))
                folder = next_folder(run_id)
                outer_id = folder.path.name
                delete = None if settings.synchronous else controller_studio(configuration.name, outer_id)
                entrypoint = LightningNativeDynamicEntrypointConfiguration
                _python, *command = entrypoint.get_entrypoint_command()
                arguments = entrypoint.get_entrypoint_arguments(snapshot_id=snapshot.id, run_id=pipeline_run)
                hosted = self._hosted(outer_id, (*command, *arguments), settings, pipeline_run, delete)
                plan = hosting_plan(
                    hosted,
                    configuration.name,
                    stack,
                    docker=configuration.docker_settings,
                    commands=settings.custom_commands or (),
                    machines=machines,
                )
                check_plan(plan)
                ours = self._hosting_environment(configuration.docker_settings, environment, settings, run_id)
                with packed_root(settings) as root:
                    folder.write(plan, root, {STEP: ours})
                if placeholder_run and not placeholder_run.orchestrator_run_id:
                    self._announce(placeholder_run.id, run_id)
            plan = folder.plan()
            warn_of_python(plan, environ)
            studio = controller_studio(configuration.name, plan.run_id)
            metadata: dict[str, MetadataType] = {
                METADATA_ORCHESTRATOR_RUN_ID: run_id,
                METADATA_ORCHESTRATOR_URL: Uri(studio_url(environ, studio)),
                METADATA_ORCHESTRATOR_LOGS_URL: Uri(studio_url(environ, studio)),
                "logs": str(folder.path / "logs"),
                "logs_command": f"lightning-native runs logs {plan.run_id}",
            }
            if not settings.synchronous:
                metadata["logs_command"] = logs_command(plan.run_id)
                logger.info("The pipeline runs in studio %s. Its log: %s", studio, logs_command(plan.run_id))
                self._hand_over(folder, settings, pipeline_run)
                return SubmissionResult(metadata=metadata)
            watch = self._drive(folder, plan, settings, pipeline_run, hosting=True)
            logger.info("The pipeline runs in studio %s; its logs are in %s.", studio, folder.path)
        return SubmissionResult(wait_for_completion=watch.wait, metadata=metadata)

    def submit_isolated_step(self, step_run_info: "StepRunInfo", environment: dict[str, str]) -> None:
        """Have a step of a dynamic pipeline run in a studio or job of its own.

        Raises:
            PlanError: the step cannot run as it is written.
            CredentialsError: credentials are missing.
        """
        self._submit_isolated(
            step_run_info,
            step_run_info.step_run,
            step_run_info.pipeline.name,
            step_run_info.snapshot,
            environment,
        )

    def _submit_isolated(
        self,
        container: "StepRunInfo | StepRunResponse",
        step_run: "StepRunResponse",
        pipeline: str,
        snapshot: "PipelineSnapshotResponse",
        environment: Mapping[str, str],
    ) -> None:
        command, arguments = get_step_entrypoint_command(
            invocation_id=step_run.name,
            config=container.config,
            entrypoint_config_class=LightningNativeIsolatedStepEntrypointConfiguration,
            snapshot_id=snapshot.id,
            step_run_id=str(step_run.id),
        )
        submit_step(
            self,
            container,
            step_run=step_run.id,
            name=step_run.name,
            pipeline=pipeline,
            argv=(*command, *arguments),
            environment={**environment, ENV_RUN_ID: self.get_orchestrator_run_id()},
            image_of=lambda _step: isolated_image(snapshot, container.config),
        )

    def get_isolated_step_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Return how an isolated step stands.

        One that another studio submitted, which is gone, is submitted again: what runs already is found by its name
        and not started twice.
        """
        status = step_status(self, step_run)
        if status is not None:
            return status
        run = Client().get_pipeline_run(step_run.pipeline_run_id)
        if run.snapshot is None or run.pipeline is None:
            return step_run.status
        environment, secrets = get_config_environment_vars(pipeline_run_id=run.id)
        runtime = get_runtime_environment(config=step_run.config, stack=Client().active_stack)
        self._submit_isolated(
            step_run, step_run, run.pipeline.name, run.snapshot, {**environment, **secrets, **runtime}
        )
        return ExecutionStatus.RUNNING

    def wait_for_isolated_step(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Wait until an isolated step has ended, and return how."""
        self.get_isolated_step_status(step_run)
        return wait_for_step(self, step_run)

    def stop_isolated_step(self, step_run: "StepRunResponse") -> None:
        """Stop an isolated step and release what it holds."""
        stop_step(self, step_run)
