"""The entrypoints of steps and pipelines in a studio or job, where the code is there already."""

import atexit
import gc
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.client import Client
from zenml.entrypoints.base_entrypoint_configuration import BaseEntrypointConfiguration
from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration
from zenml.enums import ExecutionStatus
from zenml.exceptions import EntityExistsError
from zenml.logger import get_logger
from zenml.utils import code_utils, source_utils

from lightning_native.child_process import end_of_standard_library, module_arguments
from lightning_native.zenml.compat import FAILED_RUN_EXIT_CODE, artifact_store_of, entrypoint_class, option_name
from lightning_native.zenml.step_process.bootstrap import MODULE, enable_gc
from lightning_native.zenml.step_process.confirmed_end import confirm, confirmed
from lightning_native.zenml.step_process.ranks import is_further_rank, run_further_rank, running_step
from lightning_native.zenml.step_process.schedule_window import out_of_window
from lightning_native.zenml.step_process.signals import interruption_is_no_failure
from lightning_native.zenml.step_process.step_runs import current_step_run, interrupted_step_run
from lightning_native.zenml.step_process.wheel import enter_wheel
from lightning_native.zenml.variables import ENV_INTERRUPTIBLE, ENV_PACKAGING, ENV_RUN_ID, ENV_SCRATCH

logger = get_logger(__name__)

_SOURCE_OPTION = option_name(
    "entrypoints.base_entrypoint_configuration", "ENTRYPOINT_CONFIG_SOURCE_OPTION", "entrypoint_config_source"
)
_STEP_NAME_OPTION = option_name("entrypoints.step_entrypoint_configuration", "STEP_NAME_OPTION", "step_name")
_RUN_ID_OPTION = option_name("pipelines.dynamic.entrypoint_configuration", "RUN_ID_OPTION", "run_id")
_OPERATOR = "step_operators.step_operator_entrypoint_configuration"
_STEP_RUN_ID_OPTION = option_name(_OPERATOR, "STEP_RUN_ID_OPTION", "step_run_id")

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.entrypoints.pipeline_entrypoint_configuration import PipelineEntrypointConfiguration
    from zenml.models import PipelineSnapshotResponse
    from zenml.pipelines.dynamic.entrypoint_configuration import DynamicPipelineEntrypointConfiguration
    from zenml.step_operators.step_operator_entrypoint_configuration import StepOperatorEntrypointConfiguration
else:
    StepOperatorEntrypointConfiguration = entrypoint_class(_OPERATOR, "StepOperatorEntrypointConfiguration")
    PipelineEntrypointConfiguration = entrypoint_class(
        "entrypoints.pipeline_entrypoint_configuration", "PipelineEntrypointConfiguration"
    )
    DynamicPipelineEntrypointConfiguration = entrypoint_class(
        "pipelines.dynamic.entrypoint_configuration", "DynamicPipelineEntrypointConfiguration"
    )

# The folder of the code in ZenML's images.
DOCKER_IMAGE_WORKDIR = Path("/app")


class PackagedCode(BaseEntrypointConfiguration):
    """An entrypoint that runs from the code as it was uploaded, for any user.

    ZenML's own configurations change to `/app`, which only root can create.
    """

    # The code is prepared once, also where a process continues an earlier attempt.
    _is_prepared = False

    @classmethod
    def get_entrypoint_command(cls) -> list[str]:
        """Return the command that starts ZenML."""
        return ["python", *module_arguments(MODULE)]

    @classmethod
    def get_entrypoint_arguments(cls, **kwargs: Any) -> list[str]:
        """Return the arguments of the entrypoint command, with this class named by the package it is installed as.

        ZenML names it relative to the user's code when both share a folder, as in a checkout of this project.
        """
        arguments = super().get_entrypoint_arguments(**kwargs)
        option = arguments.index(f"--{_SOURCE_OPTION}")
        arguments[option + 1] = f"{cls.__module__}.{cls.__qualname__}"
        return arguments

    def prepare_code_environment(self) -> None:
        """Change to the folder of the code, and put it on the path: a tree, a wheel, or the code of an image."""
        if PackagedCode._is_prepared:
            return
        PackagedCode._is_prepared = True
        enable_gc()
        # ZenML leaves so many objects that collecting garbage at exit would take more than a second.
        atexit.register(gc.freeze)
        packaging = os.environ.get(ENV_PACKAGING)
        if packaging == "wheel":
            os.chdir(enter_wheel(Path.cwd()))
        elif packaging == "image":
            self._find_in_image()
        code = str(Path.cwd())
        if code not in sys.path:
            # Before installed packages, as for a script, but after the standard library, which ZenML imports late.
            sys.path.insert(end_of_standard_library(), code)

    def _find_in_image(self) -> None:
        if not self.should_download_code:
            if DOCKER_IMAGE_WORKDIR.is_dir():
                # Lightning may start a container in another folder than its image names.
                os.chdir(DOCKER_IMAGE_WORKDIR)
            return
        os.chdir(tempfile.mkdtemp(prefix="code-", dir=os.environ.get(ENV_SCRATCH)))
        if self.snapshot.code_path:
            code_utils.download_code_from_artifact_store(self.snapshot.code_path, artifact_store_of(self))
        elif self.snapshot.code_reference:
            self.download_code_from_code_repository(self.snapshot.code_reference)
            os.chdir(source_utils.get_source_root())


class LightningNativeStepEntrypointConfiguration(PackagedCode, StepEntrypointConfiguration):
    """Runs one step of a static pipeline."""

    def run(self) -> None:
        """Run the step, unless it is of a scheduled run that begins outside of its schedule's start and end."""
        if out_of_window():
            logger.info("It is not the time of this schedule: nothing runs.")
            confirm()
            return
        interruptible = ENV_INTERRUPTIBLE in os.environ
        with confirmed(), interruption_is_no_failure(interruptible=interruptible, driven=ENV_RUN_ID in os.environ):
            # Only rank 0 has a step run to continue.
            looks = interruptible and not is_further_rank()
            interrupted = interrupted_step_run(self.entrypoint_args[_STEP_NAME_OPTION]) if looks else None
            if interrupted is None:
                self._run_once()
            else:
                self._continue(interrupted)

    def _run_once(self) -> None:
        try:
            super().run()
        except EntityExistsError:
            before = current_step_run(self.entrypoint_args[_STEP_NAME_OPTION])
            if before is not None and before.status.is_successful:
                # It has died after ZenML had recorded its completion.
                logger.info("An earlier attempt has completed the step: nothing is repeated.")
            elif before is not None and before.status == ExecutionStatus.RUNNING:
                # It has died without a report, and does not count as one of the step's retries.
                self._continue(before.id)
            else:
                raise

    def _run_step(self, step: "Step", snapshot: "PipelineSnapshotResponse") -> None:
        if is_further_rank():
            run_further_rank(step, partial(running_step, self.entrypoint_args[_STEP_NAME_OPTION]))
        else:
            super()._run_step(step=step, snapshot=snapshot)

    def _continue(self, step_run: UUID) -> None:
        logger.info("An earlier attempt lost its machine: the step starts again.")
        options = {**self.entrypoint_args, _STEP_RUN_ID_OPTION: str(step_run)}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        LightningNativeIsolatedStepEntrypointConfiguration(arguments).run()


class LightningNativeIsolatedStepEntrypointConfiguration(PackagedCode, StepOperatorEntrypointConfiguration):
    """Runs one step whose run exists already: of a step operator, or isolated in a dynamic pipeline."""

    def run(self) -> None:
        """Run the step, unless an earlier attempt has completed it and died afterwards.

        On a machine of a further rank, it runs without a word to ZenML.
        """
        with confirmed():
            step_run = Client().get_run_step(UUID(self.entrypoint_args[_STEP_RUN_ID_OPTION]), hydrate=is_further_rank())
            if is_further_rank():
                # ZenML's property would publish that the step runs.
                self._step_run = step_run
            elif step_run.status.is_successful:
                logger.info("An earlier attempt has completed the step: nothing is repeated.")
                return
            super().run()

    def _run_step(self, step: "Step", snapshot: "PipelineSnapshotResponse") -> None:
        if is_further_rank():
            run_further_rank(step, lambda: self._step_run)
        else:
            super()._run_step(step=step, snapshot=snapshot)


class LightningNativePipelineEntrypointConfiguration(PackagedCode, PipelineEntrypointConfiguration):
    """Runs all steps of a static pipeline, one after another, in one process."""

    def run(self) -> None:
        """Run the steps."""
        with confirmed():
            super().run()


class LightningNativeDynamicEntrypointConfiguration(PackagedCode, DynamicPipelineEntrypointConfiguration):
    """Runs a dynamic pipeline."""

    def run(self) -> None:
        """Run the pipeline; the exit code is that of ZenML's record also where the run had ended before."""
        with confirmed():
            super().run()
        run_id = self.entrypoint_args.get(_RUN_ID_OPTION)
        if run_id and _has_ended_without_success(UUID(run_id)):
            sys.exit(FAILED_RUN_EXIT_CODE)


def _has_ended_without_success(pipeline_run: UUID) -> bool:
    try:
        status = Client().get_pipeline_run(pipeline_run, hydrate=False).status
    except Exception as error:
        # A server revokes the token of a run that has ended, and the pipeline has returned in order.
        logger.debug("The status of the run cannot be read any more: %s", error)
        return False
    return status.is_finished and not status.is_successful
