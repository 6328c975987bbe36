"""The step operator: single steps on Lightning, from any orchestrator."""

from typing import TYPE_CHECKING, cast

from zenml.config.build_configuration import BuildConfiguration
from zenml.enums import ExecutionStatus
from zenml.stack import StackValidator
from zenml.step_operators import BaseStepOperator

from lightning_native.errors import RunFailedError
from lightning_native.zenml.compiler.images import check_builds
from lightning_native.zenml.config import LightningNativeStepOperatorConfig, LightningNativeStepSettings, settings_of
from lightning_native.zenml.reachability import reachability
from lightning_native.zenml.step_process.entrypoints import LightningNativeIsolatedStepEntrypointConfiguration
from lightning_native.zenml.step_process.metadata import step_run_metadata

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import PipelineSnapshotBase, StepRunResponse

# The key of the step operator's images in a build.
_IMAGE_KEY = "lightning_native_step_operator"


class LightningNativeStepOperator(BaseStepOperator):
    """Runs a step in a studio or job of its own, on the machine it asks for, and leaves nothing running."""

    @property
    def config(self) -> LightningNativeStepOperatorConfig:
        """The configuration of the component."""
        return cast(LightningNativeStepOperatorConfig, self._config)

    @property
    def settings_class(self) -> type[LightningNativeStepSettings]:
        """The class of the settings."""
        return LightningNativeStepSettings

    @property
    def requirements(self) -> set[str]:
        """The requirements of a step that loads this component."""
        from lightning_native.zenml.compiler.docker_settings import own_requirements

        return set(own_requirements())

    @property
    def validator(self) -> StackValidator:
        """Refuses a stack whose data the steps could not reach."""
        return reachability(self, self.config.cloud)

    @property
    def entrypoint_config_class(self) -> type[LightningNativeIsolatedStepEntrypointConfiguration]:
        """The entrypoint of a step on Lightning."""
        return LightningNativeIsolatedStepEntrypointConfiguration

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> list[BuildConfiguration]:
        """Return the images that ZenML is to build, or take as they are: none unless steps run in images.

        Raises:
            PlanError: Lightning could not pull what would be built.
        """
        builds = []
        for name, step in snapshot.step_configurations.items():
            settings = settings_of(self, step)
            if step.config.uses_step_operator(self.name) and settings.packaging == "image":
                build = BuildConfiguration(key=_IMAGE_KEY, settings=step.config.docker_settings, step_name=name)
                check_builds([build], settings)
                builds.append(build)
        return builds

    def submit(self, info: "StepRunInfo", entrypoint_command: list[str], environment: dict[str, str]) -> None:
        """Have the step run on Lightning, and return without waiting for it.

        Raises:
            PlanError: the step cannot run as it is written.
            CredentialsError: credentials are missing.
        """
        from lightning_native.zenml.compiler.step import StepSource
        from lightning_native.zenml.step_process.tracebacks import shorten_tracebacks
        from lightning_native.zenml.submit.single_step import submit_step

        shorten_tracebacks()
        source = StepSource(
            name=info.pipeline_step_name,
            argv=entrypoint_command,
            config=info.config,
            settings=settings_of(self, info),
            variables=environment,
            image=lambda: info.get_image(_IMAGE_KEY),
        )
        submit_step(self, info.step_run_id, info.pipeline.name, source)

    def get_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Return the status of a submitted step.

        Raises:
            RunFailedError: it was not submitted from this machine.
        """
        from lightning_native.zenml.submit.single_step import step_status

        status = step_status(self, step_run)
        if status is None:
            raise RunFailedError(f"step {step_run.name!r} ({step_run.id}) was not submitted from this machine")
        return status

    def wait(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Wait until a submitted step has ended, and return its status."""
        from lightning_native.zenml.submit.single_step import wait_for_step

        return wait_for_step(self, step_run)

    def cancel(self, step_run: "StepRunResponse") -> None:
        """Stop a submitted step and release what it holds."""
        from lightning_native.zenml.submit.single_step import stop_step

        stop_step(self, step_run)

    def get_step_run_metadata(self, info: "StepRunInfo") -> "dict[str, MetadataType]":  # noqa: ARG002  ZenML's signature
        """Return the address at which the step runs."""
        return step_run_metadata()
