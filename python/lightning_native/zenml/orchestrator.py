"""The orchestrator: its interface to ZenML, and nothing else.

A step's own process loads this module as well, without the engine, the SDK and the native module. Each method that
needs one of them therefore imports it itself.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

from zenml.constants import METADATA_ORCHESTRATOR_RUN_ID
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.orchestrators import ContainerizedOrchestrator, SubmissionResult, WheeledOrchestrator
from zenml.stack import StackValidator
from zenml.utils import source_utils
from zenml.utils.env_utils import get_runtime_environment

from lightning_native.zenml.compiler import runtime as runtimes
from lightning_native.zenml.compiler.images import check_builds
from lightning_native.zenml.config import (
    LightningNativeOrchestratorConfig,
    LightningNativeOrchestratorSettings,
    orchestrator_settings,
)
from lightning_native.zenml.reachability import reachability
from lightning_native.zenml.step_process.inline_step import check_inline
from lightning_native.zenml.step_process.metadata import step_run_metadata
from lightning_native.zenml.variables import ENV_PIPELINE_ID, ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.config.build_configuration import BuildConfiguration
    from zenml.config.step_configurations import Step
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotBase,
        PipelineSnapshotResponse,
        ScheduleResponse,
        ScheduleUpdate,
        StepRunResponse,
    )
    from zenml.stack import Stack


class LightningNativeOrchestrator(ContainerizedOrchestrator, WheeledOrchestrator):
    """Runs pipelines on Lightning: in parallel, on the machine each step asks for, with nothing left running."""

    @property
    def config(self) -> LightningNativeOrchestratorConfig:
        """The configuration of the component."""
        return cast(LightningNativeOrchestratorConfig, self._config)

    @property
    def settings_class(self) -> type[LightningNativeOrchestratorSettings]:
        """The class of the settings."""
        return LightningNativeOrchestratorSettings

    @property
    def requirements(self) -> set[str]:
        """The requirements of a step that loads this component."""
        from lightning_native.zenml.compiler.docker_settings import own_requirements

        return set(own_requirements())

    @property
    def supported_execution_modes(self) -> list[ExecutionMode]:
        """All of ZenML's execution modes."""
        return [ExecutionMode.CONTINUE_ON_FAILURE, ExecutionMode.STOP_ON_FAILURE, ExecutionMode.FAIL_FAST]

    @property
    def validator(self) -> StackValidator:
        """Refuses a stack whose data the steps could not reach."""
        return reachability(self, self.config.cloud)

    def get_orchestrator_run_id(self) -> str:
        """Return the id of the run this process executes a step of."""
        # The jobs of one run of a schedule share a pipeline, which no other run has.
        run_id = os.environ.get(ENV_RUN_ID) or os.environ.get(ENV_PIPELINE_ID)
        if not run_id:
            raise RuntimeError(f"{ENV_RUN_ID} is not set: this process does not run a step of a pipeline")
        return run_id

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> "list[BuildConfiguration]":
        """Return the images that ZenML is to build, or take as they are: none unless steps run in images.

        Raises:
            PlanError: Lightning could not pull what would be built.
        """
        settings = orchestrator_settings(self, snapshot)
        if settings.packaging != "image":
            return []
        builds = super().get_docker_builds(snapshot)
        check_builds(builds, settings)
        return builds

    def copy_repository_to_temp_dir_and_add_setup_py(self) -> str:
        """Copy the files that an archive of the source root would have beside a `setup.py`, and return the folder."""
        from lightning_native.zenml.compiler.wheel import copy_project, package_name

        root = Path(source_utils.get_source_root())
        self.package_name = package_name(root)
        return str(copy_project(root))

    def create_wheel(self, temp_dir: str) -> str:
        """Create a wheel of such a folder, without a package index, and return its path."""
        from lightning_native.zenml.compiler.wheel import build_wheel

        return str(build_wheel(Path(temp_dir)))

    def submit_pipeline(
        self,
        snapshot: "PipelineSnapshotResponse",
        stack: "Stack",
        base_environment: dict[str, str],
        step_environments: dict[str, dict[str, str]],
        placeholder_run: "PipelineRunResponse | None" = None,
    ) -> SubmissionResult:
        """Check the run, pack the code, start the controller, and return.

        Raises:
            PlanError: the pipeline cannot run as it is written.
            CredentialsError: credentials are missing.
            ArchiveError: the source root cannot be packed.

        """
        from lightning_native.zenml.step_process.tracebacks import shorten_tracebacks
        from lightning_native.zenml.submit.static import submit_static

        shorten_tracebacks()
        return submit_static(self, snapshot, stack, base_environment, step_environments, placeholder_run)

    def submit_dynamic_pipeline(
        self,
        snapshot: "PipelineSnapshotResponse",
        stack: "Stack",
        environment: dict[str, str],
        placeholder_run: "PipelineRunResponse | None" = None,
    ) -> SubmissionResult:
        """Have a dynamic pipeline run in a studio of its own, which submits its isolated steps.

        Raises:
            PlanError: the pipeline cannot run as it is written.
            CredentialsError: credentials are missing.
            ArchiveError: the source root cannot be packed.
        """
        from lightning_native.zenml.step_process.tracebacks import shorten_tracebacks
        from lightning_native.zenml.submit.dynamic import submit_dynamic

        shorten_tracebacks()
        return submit_dynamic(self, snapshot, stack, environment, placeholder_run)

    def prepare_step_run(self, info: "StepRunInfo") -> None:
        """Refuse a step of a dynamic pipeline whose settings have no effect where it runs.

        Raises:
            PlanError: names the setting and the remedy.
        """
        check_inline(self, info)

    def run_step(self, step: "Step") -> None:
        """Run a step of a static pipeline in this process, after its `runtime` if it has one."""
        runtime = orchestrator_settings(self, step).runtime
        if runtime is not None:
            runtimes.run(runtime)
        super().run_step(step)

    def prepare_or_run_pipeline(
        self,
        deployment: "PipelineSnapshotResponse",
        stack: "Stack",
        environment: dict[str, str],
        placeholder_run: "PipelineRunResponse | None" = None,
    ) -> "Iterator[dict[str, MetadataType]]":
        """Submit a pipeline and, if synchronous, wait for its end. Older versions of ZenML call this.

        Raises:
            Exception: any error of `submit_pipeline`, or of waiting for the run.
        """
        result = self.submit_pipeline(
            snapshot=deployment,
            stack=stack,
            base_environment=environment,
            step_environments={
                name: {**environment, **get_runtime_environment(config=step.config, stack=stack)}
                for name, step in deployment.step_configurations.items()
            },
            placeholder_run=placeholder_run,
        )
        if result.metadata:
            yield result.metadata
        if result.wait_for_completion:
            result.wait_for_completion()

    def submit_isolated_step(self, step_run_info: "StepRunInfo", environment: dict[str, str]) -> None:
        """Have a step of a dynamic pipeline run in a studio or job of its own.

        Raises:
            PlanError: the step cannot run as it is written.
            CredentialsError: credentials are missing.
        """
        from lightning_native.zenml.submit.isolated_step import submit_isolated

        submit_isolated(
            self,
            step_run_info,
            step_run_info.step_run,
            step_run_info.pipeline.name,
            step_run_info.snapshot,
            environment,
        )

    def get_isolated_step_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Return the status of an isolated step."""
        from lightning_native.zenml.submit.isolated_step import isolated_status

        return isolated_status(self, step_run)

    def wait_for_isolated_step(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Wait until an isolated step has ended, and return its status."""
        from lightning_native.zenml.submit.single_step import wait_for_step

        self.get_isolated_step_status(step_run)
        return wait_for_step(self, step_run)

    def stop_isolated_step(self, step_run: "StepRunResponse") -> None:
        """Stop an isolated step and release what it holds."""
        from lightning_native.zenml.submit.single_step import stop_step

        stop_step(self, step_run)

    def update_schedule(self, schedule: "ScheduleResponse", update: "ScheduleUpdate") -> None:
        """Change the times at which Lightning runs a pipeline, pause its schedule, or resume it.

        Raises:
            CloudError: Lightning has no such schedule, or refuses.
        """
        from lightning_native.zenml.submit.scheduled import update_schedule

        update_schedule(self, schedule, update)

    def delete_schedule(self, schedule: "ScheduleResponse") -> None:
        """Delete the schedule on Lightning with what it needed there. Gone already is a success.

        Raises:
            CloudError: Lightning cannot be reached.
        """
        from lightning_native.zenml.submit.scheduled import delete_schedule

        delete_schedule(self, schedule)

    def get_pipeline_run_metadata(self, run_id: UUID) -> "dict[str, MetadataType]":  # noqa: ARG002  ZenML's signature
        """Return the metadata of a run that its first step reports to ZenML."""
        return {METADATA_ORCHESTRATOR_RUN_ID: self.get_orchestrator_run_id()}

    def get_step_run_metadata(self, info: "StepRunInfo") -> "dict[str, MetadataType]":  # noqa: ARG002  ZenML's signature
        """Return the address at which the step runs."""
        return step_run_metadata()

    def fetch_status(
        self, run: "PipelineRunResponse", include_steps: bool = False
    ) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
        """Return the status of a run and of its steps: from the journal of this machine, or of its controller."""
        from lightning_native.zenml.submit.fetch_status import fetch_status

        return fetch_status(self, run, include_steps=include_steps)

    def _stop_run(self, run: "PipelineRunResponse", graceful: bool = False) -> None:
        """Stop the run: at once, or, if graceful, when its running steps have ended."""
        from lightning_native.zenml.submit.stop import stop_run

        stop_run(self, run, orchestrator_settings(self, run), graceful=graceful)
