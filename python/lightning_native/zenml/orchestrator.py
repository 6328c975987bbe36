"""The orchestrator: turns a ZenML snapshot into a run and hands it to a controller process."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

from zenml.constants import METADATA_ORCHESTRATOR_RUN_ID
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.logger import get_logger
from zenml.orchestrators import BaseOrchestrator, SubmissionResult
from zenml.stack import StackValidator
from zenml.utils import source_utils

from lightning_native.engine.journal import Journal
from lightning_native.engine.machines import MachineOffer
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.errors import CloudError, PlanError, RunStoppedError
from lightning_native.zenml.compiler import FAILURE_MODES, compile_pipeline
from lightning_native.zenml.component import (
    ENV_RUN_ID,
    reachable,
    reached,
    settings_of,
    start_controller,
    step_environment,
)
from lightning_native.zenml.config import LightningNativeOrchestratorConfig, LightningNativeOrchestratorSettings
from lightning_native.zenml.environment import own_requirements
from lightning_native.zenml.metadata import run_metadata, step_run_metadata, step_variables
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.status import run_status, step_statuses

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import PipelineRunResponse, PipelineSnapshotResponse
    from zenml.stack import Stack

logger = get_logger(__name__)


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
        return list(FAILURE_MODES)

    @property
    def validator(self) -> StackValidator:
        """Refuses a stack whose data the steps could not reach."""
        return StackValidator(custom_validation_function=lambda stack: reachable(self, self.config.cloud, stack))

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
        settings = self._settings_of(snapshot)
        run_id = uuid4().hex
        with reached(self, settings) as environ:
            # Every mistake that can be found here is found before anything exists.
            plan = compile_pipeline(
                run_id,
                snapshot,
                stack,
                settings,
                {name: self._settings_of(step) for name, step in snapshot.step_configurations.items()},
                lambda: read_price_list(environ),
            )
            environments = {
                name: {
                    **step_environment(
                        step.config.docker_settings, step_environments.get(name, base_environment), settings
                    ),
                    ENV_RUN_ID: run_id,
                    **step_variables(plan, name, environ),
                }
                for name, step in snapshot.step_configurations.items()
            }
            folder = RunFolder.of(run_id)
            report = folder.write(plan, Path(source_utils.get_source_root()), environments)
            logger.info("Packed %d files (%.1f MB) of %s.", report.files, report.bytes_out / 1e6, plan.name)
            if placeholder_run:
                self._announce(placeholder_run.id, run_id)
            watch = self._drive(folder, plan, settings, placeholder_run.id if placeholder_run else None)
            logger.info("Run %s is driven by process %d; its logs are in %s.", run_id, watch.pid, folder.path)
            metadata = run_metadata(plan, folder, report, environ, _prices(environ))
        return SubmissionResult(
            wait_for_completion=watch.wait if settings.synchronous else None,
            metadata=metadata,
        )

    def _settings_of(self, container: object) -> LightningNativeOrchestratorSettings:
        return cast(LightningNativeOrchestratorSettings, settings_of(self, container))

    def _drive(
        self, folder: RunFolder, plan: RunPlan, settings: LightningNativeOrchestratorSettings, pipeline_run: UUID | None
    ) -> Watch:
        return start_controller(
            self,
            folder,
            plan,
            settings,
            synchronous=settings.synchronous,
            arguments=("--pipeline-run", str(pipeline_run)) if pipeline_run else (),
            # ZenML shows a step that ends by a signal as failed unless it knows before that its run is stopping.
            stopping=lambda: _publish_stop(pipeline_run),
        )

    def _announce(self, pipeline_run: UUID, run_id: str) -> None:
        """Give the run its id now: ZenML refuses to stop a run that has none."""
        from zenml.client import Client
        from zenml.models import PipelineRunUpdate

        update = PipelineRunUpdate(orchestrator_run_id=run_id)
        Client().zen_store.update_run(run_id=pipeline_run, run_update=update)

    def get_pipeline_run_metadata(self, run_id: UUID) -> "dict[str, MetadataType]":  # noqa: ARG002  ZenML's signature
        """Return the metadata of a run that its first step makes known to ZenML."""
        return {METADATA_ORCHESTRATOR_RUN_ID: self.get_orchestrator_run_id()}

    def get_step_run_metadata(self, info: "StepRunInfo") -> "dict[str, MetadataType]":
        """Return where the step runs."""
        return step_run_metadata(info.step_run.version)

    def fetch_status(
        self, run: "PipelineRunResponse", include_steps: bool = False
    ) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
        """Return how a run stands, and its steps, from the journal of this machine."""
        run_id = str(run.orchestrator_run_id)
        with Journal() as journal:
            record = journal.run(run_id)
            if record is None:
                logger.warning("Run %s is not in the journal %s of this machine.", run_id, journal.path)
                return None, None
            status: ExecutionStatus | None = run_status(journal, record, driven=RunFolder.of(run_id).is_driven())
            steps = step_statuses(journal, run_id) if include_steps else None
        if run.status.is_finished or (run.status == ExecutionStatus.STOPPING and record.state == "running"):
            status = None
        return status, steps

    def _stop_run(self, run: "PipelineRunResponse", graceful: bool = False) -> None:
        """Ask the controller to stop the run: at once, or, if graceful, when the steps that run have ended.

        A run whose controller died gets another one, which stops it and releases what it held.
        """
        run_id = str(run.orchestrator_run_id)
        folder = RunFolder.of(run_id)
        if not folder.path.exists():
            raise RunStoppedError(f"run {run_id} was not started on this machine; stop it where it was started")
        driven = folder.is_driven()
        folder.request_stop(graceful=graceful)
        with Journal() as journal:
            record = journal.run(run_id)
        if record is not None and record.state == "running" and not driven and not folder.is_driven():
            logger.info("The process that drove run %s died; another one stops it.", run_id)
            settings = self._settings_of(run)
            self._drive(folder, folder.plan(), settings.model_copy(update={"synchronous": False}), run.id)


def _prices(environ: Mapping[str, str]) -> list[MachineOffer]:
    try:
        return read_price_list(environ)
    except CloudError as error:
        logger.debug("No estimate of the cost: %s", error)
        return []


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
