"""The orchestrator: turns a ZenML snapshot into a run and hands it to a controller process."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

from zenml.config.global_config import GlobalConfiguration
from zenml.constants import ENV_ZENML_CUSTOM_SOURCE_ROOT, ENV_ZENML_LOCAL_STORES_PATH
from zenml.enums import ExecutionMode
from zenml.logger import get_logger
from zenml.orchestrators import BaseOrchestrator, SubmissionResult
from zenml.orchestrators.utils import get_step_entrypoint_command
from zenml.stack import StackValidator
from zenml.utils import source_utils

from lightning_native.emulator.attach import default_root
from lightning_native.engine.journal import Journal
from lightning_native.engine.layout import studio_layout
from lightning_native.engine.plan import FailureMode, RunPlan, StepPlan, check_plan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.errors import PlanError, RunStoppedError
from lightning_native.lightning.credentials import Credentials
from lightning_native.zenml.config import LightningNativeOrchestratorConfig, LightningNativeOrchestratorSettings
from lightning_native.zenml.entrypoints import LightningNativeStepEntrypointConfiguration
from lightning_native.zenml.requirements import own_requirements, step_requirements

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse, PipelineSnapshotResponse
    from zenml.stack import Stack

logger = get_logger(__name__)

ENV_RUN_ID = "LIGHTNING_NATIVE_RUN_ID"
_FAILURE_MODES: dict[ExecutionMode, FailureMode] = {
    ExecutionMode.CONTINUE_ON_FAILURE: "continue",
    ExecutionMode.STOP_ON_FAILURE: "stop",
    ExecutionMode.FAIL_FAST: "fail_fast",
}


class LightningNativeOrchestrator(BaseOrchestrator):
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
        """What a step needs to load this component."""
        return set(own_requirements())

    @property
    def supported_execution_modes(self) -> list[ExecutionMode]:
        """All of ZenML's execution modes."""
        return list(_FAILURE_MODES)

    @property
    def validator(self) -> StackValidator:
        """Refuses a stack whose data the steps could not reach."""

        def reachable(stack: "Stack") -> tuple[bool, str]:
            if self.config.cloud == "local" or not stack.artifact_store.config.is_local:
                return True, ""
            return False, (
                f"the artifact store {stack.artifact_store.name!r} is on this machine, where studios on Lightning AI "
                "cannot reach it; use a remote artifact store (S3, GCS, …), or the local cloud: "
                f"zenml orchestrator update {self.name} --cloud=local"
            )

        return StackValidator(custom_validation_function=reachable)

    def get_orchestrator_run_id(self) -> str:
        """Return the id of the run this process executes a step of."""
        try:
            return os.environ[ENV_RUN_ID]
        except KeyError:
            raise RuntimeError(f"{ENV_RUN_ID} is not set: this process does not run a step of a pipeline") from None

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
        if snapshot.schedule:
            raise PlanError(
                f"pipeline {snapshot.pipeline_configuration.name!r} has a schedule, which this orchestrator "
                "does not run yet; run it without one"
            )
        settings = cast(LightningNativeOrchestratorSettings, self.get_settings(snapshot))
        run_id = uuid4().hex
        name = snapshot.pipeline_configuration.name
        plan = self._plan(run_id, name, snapshot, stack, settings)
        # Every mistake that can be found here is found before anything exists.
        check_plan(plan)
        studio_layout(plan)
        environ = {} if settings.cloud == "local" else self._credentials(settings)
        folder = RunFolder.of(run_id)
        environments = {
            step.name: self._step_environment(run_id, settings, step_environments.get(step.name, base_environment))
            for step in plan.steps
        }
        report = folder.write(plan, Path(source_utils.get_source_root()), environments)
        logger.info("Packed %d files (%.1f MB) of %s.", report.files, report.bytes_out / 1e6, plan.name)
        if placeholder_run:
            self._announce(placeholder_run.id, run_id)
        pipeline_run = placeholder_run.id if placeholder_run else None
        watch = Watch(
            folder,
            plan,
            local_cloud=default_root() if settings.cloud == "local" else None,
            environ=environ,
            synchronous=settings.synchronous,
            controller=(
                "lightning_native.zenml.controller",
                *(("--pipeline-run", str(pipeline_run)) if pipeline_run else ()),
            ),
            # ZenML shows a step that ends by a signal as failed unless it knows before that its run is stopping.
            stopping=lambda: _publish_stop(pipeline_run),
        )
        logger.info("Run %s is driven by process %d; its logs are in %s.", run_id, watch.pid, folder.path)
        return SubmissionResult(
            wait_for_completion=watch.wait if settings.synchronous else None,
            metadata={"run_id": run_id, "code_digest": report.digest, "logs": str(folder.path / "logs")},
        )

    def _plan(
        self,
        run_id: str,
        name: str,
        snapshot: "PipelineSnapshotResponse",
        stack: "Stack",
        settings: LightningNativeOrchestratorSettings,
    ) -> RunPlan:
        steps = []
        for invocation, step in snapshot.step_configurations.items():
            command, arguments = get_step_entrypoint_command(
                invocation_id=invocation,
                config=step.config,
                entrypoint_config_class=LightningNativeStepEntrypointConfiguration,
                snapshot_id=snapshot.id,
            )
            step_settings = cast(LightningNativeOrchestratorSettings, self.get_settings(step))
            steps.append(
                StepPlan(
                    name=invocation,
                    argv=(*command, *arguments),
                    machines=(step_settings.machine_type,) if step_settings.machine_type else (),
                    upstream=tuple(step.spec.upstream_steps),
                    requirements=step_requirements(step.config.docker_settings, stack),
                    # Steps that share one configuration folder tear each other's files.
                    scratch=("ZENML_CONFIG_PATH",),
                )
            )
        return RunPlan(
            run_id=run_id,
            name=name,
            steps=tuple(steps),
            placement=settings.placement,
            main_studio=settings.main_studio_name,
            main_machine=settings.machine_type,
            custom_commands=tuple(settings.custom_commands or ()),
            max_parallelism=settings.max_parallelism,
            on_failure=_FAILURE_MODES[snapshot.pipeline_configuration.execution_mode],
        )

    def _credentials(self, settings: LightningNativeOrchestratorSettings) -> dict[str, str]:
        credentials = settings.credentials().or_else(Credentials.from_environment(os.environ))
        return credentials.environ(settings=f"the orchestrator (zenml orchestrator update {self.name} --api_key=… )")

    def _step_environment(
        self, run_id: str, settings: LightningNativeOrchestratorSettings, environment: Mapping[str, str]
    ) -> dict[str, str]:
        extra = {ENV_RUN_ID: run_id, ENV_ZENML_CUSTOM_SOURCE_ROOT: "."}
        if settings.cloud == "local":
            # Studios of the local cloud share this machine's artifact store, wherever their own configuration is.
            extra[ENV_ZENML_LOCAL_STORES_PATH] = GlobalConfiguration().local_stores_path
        return {**environment, **extra}

    def _announce(self, pipeline_run: UUID, run_id: str) -> None:
        """Give the run its id now: ZenML refuses to stop a run that has none."""
        from zenml.client import Client
        from zenml.models import PipelineRunUpdate

        update = PipelineRunUpdate(orchestrator_run_id=run_id)
        Client().zen_store.update_run(run_id=pipeline_run, run_update=update)

    def _stop_run_gracefully(self, pipeline_run: "PipelineRunResponse") -> None:
        self._stop_run_forcefully(pipeline_run)

    def _stop_run_forcefully(self, pipeline_run: "PipelineRunResponse") -> None:
        """Ask the controller to stop the run."""
        run_id = str(pipeline_run.orchestrator_run_id)
        with Journal() as journal:
            record = journal.run(run_id)
        if record is None or record.controller is None or not RunFolder.of(run_id).is_driven():
            raise RunStoppedError(f"run {run_id} is not driven by a process on this machine any more")
        os.kill(record.controller, signal.SIGTERM)


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
