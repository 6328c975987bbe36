"""The parts that every kind of run has: its folder, its controller, here or on Lightning, and its id in ZenML."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.global_config import GlobalConfiguration
from zenml.constants import (
    ENV_ZENML_CUSTOM_SOURCE_ROOT,
    ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL,
    ENV_ZENML_LOCAL_STORES_PATH,
)
from zenml.enums import StoreType
from zenml.logger import get_logger
from zenml.models import PipelineRunUpdate
from zenml.utils import source_utils

from lightning_native import ArchiveReport
from lightning_native.emulator.keep_alive import keeping
from lightning_native.engine.interpreter import difference_at_submission
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch, controller_environment
from lightning_native.zenml.access import credentials_of, local_cloud_root
from lightning_native.zenml.compiler.docker_settings import image_environment
from lightning_native.zenml.compiler.wheel import made_wheel
from lightning_native.zenml.config import LightningNativeOrchestratorSettings, LightningNativeStepSettings
from lightning_native.zenml.handed_over import HOME, Hosted
from lightning_native.zenml.variables import ENV_ON_LOCAL_CLOUD, ENV_PACKAGING, ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.stack import StackComponent

    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

logger = get_logger(__name__)

CONTROLLER = "lightning_native.zenml.controller"


def warn_of_python(plan: RunPlan, environ: Mapping[str, str]) -> None:
    """Log what follows from the machines having another Python than this process, before anything is created.

    Args:
        plan: of the run.
        environ: with which a process of ours reaches Lightning.

    Raises:
        UsageError: the environment names a version of Python that there cannot be.
    """
    difference = difference_at_submission(plan, controller_environment(environ))
    if difference:
        logger.warning("%s.", difference[0].upper() + difference[1:])


def step_environment(
    docker: DockerSettings, environment: Mapping[str, str], settings: LightningNativeStepSettings
) -> dict[str, str]:
    """Return the environment of a step's command: what an image would set, ZenML's, and ours."""
    ours = {ENV_ZENML_CUSTOM_SOURCE_ROOT: ".", ENV_PACKAGING: settings.packaging}
    if settings.cloud == "local":
        ours[ENV_ON_LOCAL_CLOUD] = "1"
        if _has_local_data():
            # Studios of the local cloud share it, wherever their own configuration is.
            ours[ENV_ZENML_LOCAL_STORES_PATH] = GlobalConfiguration().local_stores_path
    return {**image_environment(docker), **environment, **ours}


def _has_local_data() -> bool:
    """Tell whether ZenML keeps data in this computer's files, and not on a server and in a remote artifact store."""
    client = Client()
    return client.zen_store.type == StoreType.SQL or client.active_stack.artifact_store.config.is_local


@contextmanager
def packed_root(settings: LightningNativeStepSettings) -> Iterator[Path]:
    """Yield the folder whose content is unpacked where steps run: the source root, or one with a wheel of it.

    Raises:
        ArchiveError: the source root cannot be read.
        PlanError: no wheel can be made of it.
    """
    root = Path(source_utils.get_source_root())
    with made_wheel(root) if settings.packaging == "wheel" else nullcontext(root) as packed:
        yield packed


def write_folder(
    folder: RunFolder,
    plan: RunPlan,
    settings: LightningNativeStepSettings,
    environments: Mapping[str, Mapping[str, str]],
) -> ArchiveReport | None:
    """Write a run's folder, with the code where no image has it, and return what was packed.

    Raises:
        ArchiveError: the source root cannot be packed.
        PlanError: no wheel can be made of it.
    """
    with packed_root(settings) if settings.packaging != "image" else nullcontext() as root:
        return folder.write(plan, root, environments)


def start_controller(
    component: "StackComponent",
    folder: RunFolder,
    plan: RunPlan,
    settings: LightningNativeStepSettings,
    *,
    synchronous: bool = False,
    module: str = CONTROLLER,
    arguments: Sequence[str] = (),
    stopping: Callable[[], object] = lambda: None,
) -> Watch:
    """Start the process that drives a run; `arguments` go to its module, the rest is `Watch`'s."""
    root = local_cloud_root(settings)
    return Watch(
        folder,
        plan,
        local_cloud=root,
        environ=credentials_of(component, settings) if root is None else {},
        synchronous=synchronous,
        controller=(module, *arguments),
        stopping=stopping,
    )


def start_again(component: "StackComponent", folder: RunFolder, settings: LightningNativeStepSettings) -> Watch:
    """Start another process to drive a run on, as the one that died was started.

    Raises:
        PlanError: the run has ended.
    """
    (module, *arguments), _local_cloud = folder.controller()
    return start_controller(component, folder, folder.plan(), settings, module=module, arguments=arguments)


def drive(
    orchestrator: "LightningNativeOrchestrator",
    folder: RunFolder,
    plan: RunPlan,
    settings: LightningNativeOrchestratorSettings,
    pipeline_run: UUID | None,
    *,
    hosting: bool = False,
) -> Watch:
    """Start the controller of a run here; `hosting`: what it runs is itself the controller of a dynamic pipeline."""
    return start_controller(
        orchestrator,
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


def announce(pipeline_run: UUID, run_id: str) -> None:
    """Give the run its id now: ZenML refuses to stop a run that has none."""
    update = PipelineRunUpdate(orchestrator_run_id=run_id)
    Client().zen_store.update_run(run_id=pipeline_run, run_update=update)


def hosted_controller(
    run_id: str,
    argv: tuple[str, ...],
    pipeline_run: UUID | None,
    delete: str | None,
) -> Hosted:
    """Return what a controller on Lightning is to do."""
    return Hosted(run_id, argv, str(pipeline_run) if pipeline_run else None, delete)


def hosting_environment(
    orchestrator: "LightningNativeOrchestrator",
    docker: DockerSettings,
    environment: Mapping[str, str],
    settings: LightningNativeOrchestratorSettings,
    run_id: str,
) -> dict[str, str]:
    """Return the environment of a controller on Lightning, which signs in by itself."""
    # On the local cloud it has them from its machine, as any process there, and keeps the cloud running.
    local_cloud = local_cloud_root(settings)
    credentials = {} if settings.cloud == "local" else credentials_of(orchestrator, settings)
    # A controller needs credentials, which containers do not have, so it is in a studio also where steps are not.
    packaging = {ENV_PACKAGING: "source"} if settings.packaging == "image" else {}
    return {
        ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
        **step_environment(docker, environment, settings),
        **packaging,
        **credentials,
        **(keeping(local_cloud) if local_cloud else {}),
        ENV_RUN_ID: run_id,
        "LIGHTNING_NATIVE_HOME": f"~/{HOME}",
    }


def hand_over(
    orchestrator: "LightningNativeOrchestrator",
    folder: RunFolder,
    settings: LightningNativeOrchestratorSettings,
    pipeline_run: UUID | None,
) -> Watch:
    """Start the process that gives a run to a controller on Lightning."""
    published = ("--pipeline-run", str(pipeline_run)) if pipeline_run else ()
    return start_controller(
        orchestrator,
        folder,
        folder.plan(),
        settings,
        module="lightning_native.zenml.launch",
        arguments=("--component", str(orchestrator.id), *published),
    )


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish.publisher import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
