"""The orchestrator: turns a ZenML snapshot into a run and hands it to a controller process."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.constants import (
    ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL,
    METADATA_ORCHESTRATOR_LOGS_URL,
    METADATA_ORCHESTRATOR_RUN_ID,
    METADATA_ORCHESTRATOR_URL,
)
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.models import PipelineRunUpdate
from zenml.orchestrators import BaseOrchestrator, SubmissionResult
from zenml.orchestrators.exceptions import PipelineSubmissionError
from zenml.orchestrators.utils import get_config_environment_vars, get_step_entrypoint_command
from zenml.stack import StackValidator
from zenml.utils import source_utils
from zenml.utils.env_utils import get_runtime_environment

from lightning_native import ArchiveReport
from lightning_native.engine.journal import Journal
from lightning_native.engine.machines import MachineOffer
from lightning_native.engine.plan import RunPlan, check_plan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch
from lightning_native.errors import CloudError, LightningNativeError, PlanError, RunStoppedError
from lightning_native.zenml import remote
from lightning_native.zenml.compiler import FAILURE_MODES, compile_pipeline, main_machines
from lightning_native.zenml.component import (
    ENV_RUN_ID,
    credentials_of,
    local_cloud_root,
    newest_folder,
    next_folder,
    reachable,
    reached,
    settings_of,
    start_again,
    start_controller,
    step_environment,
)
from lightning_native.zenml.config import LightningNativeOrchestratorConfig, LightningNativeOrchestratorSettings
from lightning_native.zenml.entrypoints import (
    LightningNativeDynamicEntrypointConfiguration,
    LightningNativeIsolatedStepEntrypointConfiguration,
)
from lightning_native.zenml.environment import check_docker_settings, own_requirements
from lightning_native.zenml.hosting import (
    HOME,
    STEP,
    HandedOver,
    Hosted,
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
    teamspace_url,
)
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.schedules import (
    ENV_PIPELINE_ID,
    change_schedule,
    lightning_schedule,
    schedule_name,
    window_variables,
)
from lightning_native.zenml.single_step import step_status, stop_step, submit_step, wait_for_step
from lightning_native.zenml.status import RUN_STATUS, STEP_STATUS, run_status, step_statuses

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotResponse,
        ScheduleResponse,
        ScheduleUpdate,
        StepRunResponse,
    )
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
        # All jobs of one run that a schedule made have the same pipeline, which no other run has.
        run_id = os.environ.get(ENV_RUN_ID) or os.environ.get(ENV_PIPELINE_ID)
        if not run_id:
            raise RuntimeError(f"{ENV_RUN_ID} is not set: this process does not run a step of a pipeline")
        return run_id

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
            )
            if snapshot.schedule:
                return self._submit_schedule(plan, snapshot, settings, environ, base_environment, step_environments)
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
            if settings.synchronous:
                report = folder.write(plan, Path(source_utils.get_source_root()), environments)
            else:
                report = self._write_handed_over(
                    folder, plan, environments, base_environment, stack, settings, pipeline_run
                )
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

    def _submit_schedule(
        self,
        plan: RunPlan,
        snapshot: "PipelineSnapshotResponse",
        settings: LightningNativeOrchestratorSettings,
        environ: Mapping[str, str],
        base_environment: Mapping[str, str],
        step_environments: Mapping[str, Mapping[str, str]],
    ) -> SubmissionResult:
        """Have Lightning run the pipeline when its schedule says.

        Raises:
            PlanError: Lightning cannot run at such times.
            PipelineSubmissionError: Lightning does not take it; ZenML forgets the schedule then.
        """
        schedule = cast("ScheduleResponse", snapshot.schedule)
        if settings.placement == "studio":
            logger.info("Lightning itself runs scheduled pipelines: their steps are jobs (placement `platform`).")
        try:
            plan = replace(plan, placement="platform", schedule=lightning_schedule(schedule, settings.timezone))
            check_plan(plan)
        except PlanError as error:
            raise PipelineSubmissionError(str(error)) from error
        environments = {
            name: {
                **step_environment(
                    step.config.docker_settings, step_environments.get(name, base_environment), settings
                ),
                **window_variables(schedule, step.spec.upstream_steps),
            }
            for name, step in snapshot.step_configurations.items()
        }
        folder = RunFolder.of(plan.run_id)
        folder.write(plan, Path(source_utils.get_source_root()), environments)
        watch = start_controller(self, folder, plan, settings, synchronous=True)
        try:
            watch.wait()
        except LightningNativeError as error:
            raise PipelineSubmissionError(f"schedule {schedule.name!r} could not be created: {error}") from error
        name = schedule_name(schedule)
        logger.info("Lightning runs the pipeline by its schedule %r.", name)
        return SubmissionResult(
            metadata={"lightning_schedule": name, METADATA_ORCHESTRATOR_URL: Uri(teamspace_url(environ))}
        )

    def update_schedule(self, schedule: "ScheduleResponse", update: "ScheduleUpdate") -> None:
        """Change when Lightning runs a pipeline, pause it, or have it go on.

        Raises:
            CloudError: Lightning has no such schedule, or refuses.
        """
        cron = ("--cron", update.cron_expression) if update.cron_expression else ()
        state = () if update.active is None else ("--state", "active" if update.active else "paused")
        with reached(self, self._own_settings()) as environ:
            change_schedule(environ, "update", schedule_name(schedule), *cron, *state)

    def delete_schedule(self, schedule: "ScheduleResponse") -> None:
        """Delete the schedule on Lightning with what it needed there. Gone already is a success.

        Raises:
            CloudError: Lightning cannot be reached.
        """
        with reached(self, self._own_settings()) as environ:
            change_schedule(environ, "delete", schedule_name(schedule))

    def _own_settings(self) -> LightningNativeOrchestratorSettings:
        return LightningNativeOrchestratorSettings.model_validate(self.config.model_dump(exclude_unset=True))

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
        report = folder.write(hosting, Path(source_utils.get_source_root()), {STEP: environment})
        add_inner_run(folder, plan, environments)
        return report

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
        return {
            ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
            **step_environment(docker, environment, settings),
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
            if not _is_unfinished(folder):
                check_docker_settings("of the pipeline itself", configuration.docker_settings)
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
                folder.write(plan, Path(source_utils.get_source_root()), {STEP: ours})
                if placeholder_run and not placeholder_run.orchestrator_run_id:
                    self._announce(placeholder_run.id, run_id)
            plan = folder.plan()
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
            step_run_info.snapshot.id,
            environment,
        )

    def _submit_isolated(
        self,
        container: "StepRunInfo | StepRunResponse",
        step_run: "StepRunResponse",
        pipeline: str,
        snapshot_id: UUID,
        environment: Mapping[str, str],
    ) -> None:
        command, arguments = get_step_entrypoint_command(
            invocation_id=step_run.name,
            config=container.config,
            entrypoint_config_class=LightningNativeIsolatedStepEntrypointConfiguration,
            snapshot_id=snapshot_id,
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
            step_run, step_run, run.pipeline.name, run.snapshot.id, {**environment, **secrets, **runtime}
        )
        return ExecutionStatus.RUNNING

    def wait_for_isolated_step(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Wait until an isolated step has ended, and return how."""
        self.get_isolated_step_status(step_run)
        return wait_for_step(self, step_run)

    def stop_isolated_step(self, step_run: "StepRunResponse") -> None:
        """Stop an isolated step and release what it holds."""
        stop_step(self, step_run)

    def _settings_of(self, container: object) -> LightningNativeOrchestratorSettings:
        return cast(LightningNativeOrchestratorSettings, settings_of(self, container))

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
        answer = remote.status(self, run_id)
        if answer is None:
            # It publishes how the run ended before it goes; without that, it was taken away.
            after = Client().get_pipeline_run(run.id, hydrate=False).status
            return (None if after.is_finished else ExecutionStatus.FAILED), None
        if run.status == ExecutionStatus.STOPPING and answer["state"] == "running":
            return None, None
        steps = {step["name"]: STEP_STATUS[step["state"]] for step in answer["steps"] if step["state"] != "pending"}
        return RUN_STATUS[answer["state"]], steps if include_steps else None

    def _stop_run(self, run: "PipelineRunResponse", graceful: bool = False) -> None:
        """Ask the controller to stop the run: at once, or, if graceful, when the steps that run have ended.

        A run whose controller died gets another one, which stops it and releases what it held.
        """
        folder = newest_folder(str(run.orchestrator_run_id))
        run_id = folder.path.name
        if not folder.path.exists():
            raise RunStoppedError(f"run {run_id} was not started on this machine; stop it where it was started")
        driven = folder.is_driven()
        folder.request_stop(graceful=graceful)
        if HandedOver.read(folder) is not None:
            remote.stop(self, run_id, graceful=graceful)
        elif not driven and _is_unfinished(folder) and not folder.is_driven():
            logger.info("The process that drove run %s died; another one stops it.", run_id)
            start_again(self, folder, self._settings_of(run))


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


def _is_unfinished(folder: RunFolder) -> bool:
    with Journal() as journal:
        record = journal.run(folder.path.name)
    return record is not None and record.state == "running"
