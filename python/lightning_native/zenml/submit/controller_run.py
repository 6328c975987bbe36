"""The run whose one step is a controller on Lightning, in a studio of its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.config import DockerSettings
from zenml.constants import ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL

from lightning_native.engine.checks import check_plan
from lightning_native.lightning.local import keeping
from lightning_native.zenml.access import credentials_of, local_cloud_root
from lightning_native.zenml.compiler.compiled_run import CompiledRun, CompilerContext
from lightning_native.zenml.compiler.step_variables import command_variables
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.remote_controller.plan import EXTRA, controller_studio, hosting_plan
from lightning_native.zenml.remote_controller.supervisor_spec import HOME, STEP, Hosted
from lightning_native.zenml.variables import ENV_PACKAGING

if TYPE_CHECKING:
    from zenml.stack import StackComponent


def controller_run(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    pipeline: str,
    run_id: str,
    variables: Mapping[str, str],
    context: CompilerContext,
    *,
    pipeline_run: UUID | None,
    argv: Sequence[str] = (),
    docker: DockerSettings | None = None,
    commands: Sequence[str] = (),
    machines: tuple[str, ...] = (),
) -> CompiledRun:
    """Make the run of a controller on Lightning.

    Args:
        orchestrator: the controller acts for it, with its credentials.
        settings: of the pipeline.
        pipeline: its name.
        run_id: of this run.
        variables: with which ZenML has the controller run.
        context: of the run.
        pipeline_run: ZenML's run.
        argv: the command that drives the run, without Python; none: that of the run in the folder within this one's.
        docker: what the command needs besides this package.
        commands: run in the studio after the requirements.
        machines: for the studio, in the order of preference; none: the default.

    Raises:
        PlanError: it cannot run as it is written.
        CredentialsError: credentials are missing.
    """
    docker = docker or DockerSettings()
    # A controller that nobody here waits for deletes its studio itself.
    delete = None if settings.synchronous else controller_studio(pipeline, run_id)
    hosted = Hosted(run_id, tuple(argv), str(pipeline_run) if pipeline_run else None, delete)
    plan = hosting_plan(hosted, pipeline, context.stack, docker=docker, commands=commands, machines=machines)
    check_plan(plan)
    # A controller needs credentials, which containers do not have, so it is in a studio also where steps are not.
    packaging = "source" if settings.packaging == "image" else settings.packaging
    local_cloud = local_cloud_root(settings)
    all_variables = {
        ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
        **command_variables(docker, variables, settings),
        ENV_PACKAGING: packaging,
        # On the local cloud its machine has them, as any machine there; the controller keeps that cloud running.
        **({} if settings.cloud == "local" else credentials_of(orchestrator, settings)),
        **(keeping(local_cloud) if local_cloud else {}),
        "LIGHTNING_NATIVE_HOME": f"~/{HOME}",
    }
    return CompiledRun(plan, {STEP: all_variables}, packaging, own_extra=EXTRA)
