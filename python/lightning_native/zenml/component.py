"""What the orchestrator and the step operator share: how they reach Lightning and have runs driven."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.constants import ENV_ZENML_CUSTOM_SOURCE_ROOT, ENV_ZENML_LOCAL_STORES_PATH
from zenml.enums import StoreType
from zenml.logger import get_logger
from zenml.utils import source_utils

from lightning_native import ArchiveReport
from lightning_native.emulator.attach import attach, default_root
from lightning_native.engine.interpreter import difference_at_submission
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.watch import Watch, controller_environment
from lightning_native.lightning.credentials import Credentials
from lightning_native.zenml.compiler.docker_settings import image_environment
from lightning_native.zenml.compiler.wheel import made_wheel
from lightning_native.zenml.config import LightningNativeStepSettings
from lightning_native.zenml.variables import ENV_ON_LOCAL_CLOUD, ENV_PACKAGING

if TYPE_CHECKING:
    from zenml.config import DockerSettings
    from zenml.stack import StackComponent

logger = get_logger(__name__)

CONTROLLER = "lightning_native.zenml.controller"


def settings_of(component: "StackComponent", container: object) -> LightningNativeStepSettings:
    """Return the settings of a component for a pipeline, a step or a run."""
    return cast(LightningNativeStepSettings, component.get_settings(container))  # type: ignore[arg-type]  # ZenML checks


def local_cloud_root(settings: LightningNativeStepSettings) -> Path | None:
    """Return the root of the local cloud that a process attaches to; None: it signs in with variables.

    It does so on Lightning, and on a machine of the local cloud itself.
    """
    return default_root() if settings.cloud == "local" and ENV_ON_LOCAL_CLOUD not in os.environ else None


def credentials_of(component: "StackComponent", settings: LightningNativeStepSettings) -> dict[str, str]:
    """Return the variables with which the SDK signs in, from the settings or else this process's environment.

    Raises:
        CredentialsError: names what is missing and where to set it.
    """
    own = Credentials.from_environment(os.environ)
    if settings.cloud == "local":
        # Those of the machine: what is configured is for Lightning.
        return own.environ() | {name: os.environ[name] for name in ("LIGHTNING_CLOUD_URL",) if name in os.environ}
    credentials = Credentials(
        user_id=settings.user_id,
        api_key=settings.api_key,
        username=settings.username,
        organization=settings.organization,
        teamspace=settings.teamspace,
    ).or_else(own)
    kind = component.type.value.replace("_", "-")
    return credentials.environ(settings=f"the {kind} (zenml {kind} update {component.name} --api_key=… )")


@contextmanager
def reached(component: "StackComponent", settings: LightningNativeStepSettings) -> Iterator[dict[str, str]]:
    """Yield the variables with which a process of ours reaches Lightning; the local cloud runs meanwhile."""
    root = local_cloud_root(settings)
    if root is not None:
        with attach(root) as environ:
            yield environ
    else:
        yield credentials_of(component, settings)


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
    docker: "DockerSettings", environment: Mapping[str, str], settings: LightningNativeStepSettings
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


def newest_folder(run_id: str) -> RunFolder:
    """Return the folder of the newest part of a run: a paused or broken dynamic run goes on in another one."""
    folder = RunFolder.of(run_id)
    while (following := RunFolder.of(_part(run_id, folder))).path.exists():
        folder = following
    return folder


def next_folder(run_id: str) -> RunFolder:
    """Return where the next part of a run goes: the first, if there is none yet."""
    first = RunFolder.of(run_id)
    return RunFolder.of(_part(run_id, newest_folder(run_id))) if first.path.exists() else first


def _part(run_id: str, folder: RunFolder) -> str:
    """Return the id of the part that follows the one in `folder`."""
    number = folder.path.name.removeprefix(run_id).removeprefix("-part-") or "1"
    return f"{run_id}-part-{int(number) + 1}"
