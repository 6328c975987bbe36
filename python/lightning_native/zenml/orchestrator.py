"""The orchestrator: turns a ZenML snapshot into a run and hands it to a controller process."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.constants import (
    METADATA_ORCHESTRATOR_RUN_ID,
    METADATA_ORCHESTRATOR_URL,
)
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult
from zenml.stack import StackValidator
from zenml.utils.env_utils import get_runtime_environment

from lightning_native import ArchiveReport
from lightning_native.engine.journal import Journal
from lightning_native.engine.machines import MachineOffer
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import CloudError
from lightning_native.zenml import remote_calls
from lightning_native.zenml import runtime as runtimes
from lightning_native.zenml.compiler import FAILURE_MODES, compile_pipeline
from lightning_native.zenml.component import (
    newest_folder,
    packed_root,
    reachable,
    reached,
    step_environment,
    warn_of_python,
    write_folder,
)
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.dynamic import DynamicPipelines
from lightning_native.zenml.entrypoints import ENV_RUN_ID
from lightning_native.zenml.environment import own_requirements
from lightning_native.zenml.handed_over import STEP, HandedOver
from lightning_native.zenml.hosting import (
    add_inner_run,
    controller_studio,
    hosting_plan,
    logs_command,
)
from lightning_native.zenml.metadata import (
    run_metadata,
    step_run_metadata,
    step_variables,
    studio_url,
)
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.scheduled import ScheduledPipelines
from lightning_native.zenml.status import RUN_STATUS, STEP_STATUS, run_status, step_statuses
from lightning_native.zenml.stopping import stop_run

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotResponse,
    )
    from zenml.stack import Stack

logger = get_logger(__name__)


class LightningNativeOrchestrator(DynamicPipelines, ScheduledPipelines):
    """Runs pipelines on Lightning: in parallel, on the machine each step asks for, with nothing left running."""

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
                partial(self.get_image, snapshot),
            )
            warn_of_python(plan, environ)
            if snapshot.schedule:
                return self.submit_schedule(plan, snapshot, settings, environ, base_environment, step_environments)
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
            pipeline_run = placeholder_run.id if placeholder_run else None
            report: ArchiveReport | None
            if not settings.synchronous:
                report = self._write_handed_over(
                    folder, plan, environments, base_environment, stack, settings, pipeline_run
                )
            else:
                report = write_folder(folder, plan, settings, environments)
            if report is not None:
                logger.info("Packed %d files (%.1f MB) of %s.", report.files, report.bytes_out / 1e6, plan.name)
            if placeholder_run:
                self._announce(placeholder_run.id, run_id)
            metadata = run_metadata(plan, folder, report, environ, _prices(environ))
            if settings.synchronous:
                watch = self._drive(folder, plan, settings, pipeline_run)
                logger.info("Run %s is driven by process %d; its logs are in %s.", run_id, watch.pid, folder.path)
            else:
                watch = self._hand_over(folder, settings, pipeline_run)
                studio = controller_studio(plan.name, run_id)
                metadata |= {
                    "controller_studio": studio,
                    METADATA_ORCHESTRATOR_URL: Uri(studio_url(environ, studio)),
                    "logs_command": logs_command(run_id),
                }
                logger.info("Run %s gets a controller in studio %s. Its log: %s", run_id, studio, logs_command(run_id))
        return SubmissionResult(
            wait_for_completion=watch.wait if settings.synchronous else None,
            metadata=metadata,
        )

    def run_step(self, step: "Step") -> None:
        """Run a step of a static pipeline in this process, what its `runtime` asks for first."""
        runtime = self._settings_of(step).runtime
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
        """Submit a pipeline and, if synchronous, wait for its end: what older versions of ZenML call.

        Raises:
            What `submit_pipeline` raises, and what waiting for the run raises.
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

    def _write_handed_over(
        self,
        folder: RunFolder,
        plan: RunPlan,
        environments: Mapping[str, Mapping[str, str]],
        base_environment: Mapping[str, str],
        stack: "Stack",
        settings: LightningNativeOrchestratorSettings,
        pipeline_run: UUID | None,
    ) -> ArchiveReport:
        """Write the folder of a run whose controller lives on Lightning."""
        hosted = self._hosted(folder.path.name, (), settings, pipeline_run, controller_studio(plan.name, plan.run_id))
        hosting = hosting_plan(hosted, plan.name, stack, docker=DockerSettings())
        environment = self._hosting_environment(DockerSettings(), base_environment, settings, plan.run_id)
        with packed_root(settings) as root:
            report = folder.write(hosting, root, {STEP: environment})
        add_inner_run(folder, plan, environments)
        return report

    def get_pipeline_run_metadata(self, run_id: UUID) -> "dict[str, MetadataType]":  # noqa: ARG002  ZenML's signature
        """Return the metadata of a run that its first step makes known to ZenML."""
        return {METADATA_ORCHESTRATOR_RUN_ID: self.get_orchestrator_run_id()}

    def get_step_run_metadata(self, info: "StepRunInfo") -> "dict[str, MetadataType]":
        """Return where the step runs."""
        return step_run_metadata(info.step_run.version)

    def fetch_status(
        self, run: "PipelineRunResponse", include_steps: bool = False
    ) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
        """Return how a run stands, and its steps: from the journal of this machine, or of its controller."""
        folder = newest_folder(str(run.orchestrator_run_id))
        run_id = folder.path.name
        if HandedOver.read(folder) is not None:
            return self._fetch_remote_status(run, run_id, include_steps=include_steps)
        with Journal() as journal:
            record = journal.run(run_id)
            if record is None:
                logger.warning("Run %s is not in the journal %s of this machine.", run_id, journal.path)
                return None, None
            status: ExecutionStatus | None = run_status(journal, record, driven=folder.is_driven())
            steps = step_statuses(journal.steps(run_id)) if include_steps else None
        if run.status.is_finished or (run.status == ExecutionStatus.STOPPING and record.state == "running"):
            status = None
        return status, steps

    def _fetch_remote_status(
        self, run: "PipelineRunResponse", run_id: str, *, include_steps: bool
    ) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
        if run.status.is_finished:
            return None, None
        answer = remote_calls.status(self, run_id)
        if answer is None:
            # It publishes how the run ended before it goes; without that, it was taken away.
            after = Client().get_pipeline_run(run.id, hydrate=False).status
            return (None if after.is_finished else ExecutionStatus.FAILED), None
        if run.status == ExecutionStatus.STOPPING and answer["state"] == "running":
            return None, None
        steps = {step["name"]: STEP_STATUS[step["state"]] for step in answer["steps"] if step["state"] != "pending"}
        return RUN_STATUS[answer["state"]], steps if include_steps else None

    def _stop_run(self, run: "PipelineRunResponse", graceful: bool = False) -> None:
        """Ask the controller to stop the run: at once, or, if graceful, when the steps that run have ended."""
        stop_run(self, run, self._settings_of(run), graceful=graceful)


def _prices(environ: Mapping[str, str]) -> list[MachineOffer]:
    try:
        return read_price_list(environ)
    except CloudError as error:
        logger.debug("No estimate of the cost: %s", error)
        return []
