"""The parts that every submission has: its compiler's context, its folder, its controller and its id in ZenML."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.logger import get_logger
from zenml.models import PipelineRunUpdate
from zenml.utils import source_utils

from lightning_native import ArchiveReport
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.process import credentialed
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.process.credentialed import controller_environment
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios.interpreter import difference_at_submission
from lightning_native.errors import CloudError
from lightning_native.lightning.offers import MachineOffer, recent_offers
from lightning_native.zenml.access import cloud_variables, credentials_of, local_cloud_root
from lightning_native.zenml.compiler.compiled_run import CompiledRun, CompilerContext
from lightning_native.zenml.compiler.wheel import made_wheel
from lightning_native.zenml.config import LightningNativeOrchestratorSettings, LightningNativeStepSettings

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse
    from zenml.stack import Stack, StackComponent

logger = get_logger(__name__)

CONTROLLER = "lightning_native.zenml.controller"
_LAUNCH = "lightning_native.zenml.remote_controller.launch"
_PRICES_SECONDS = 60.0


@contextmanager
def compiler_context(
    component: "StackComponent", settings: LightningNativeStepSettings, stack: "Stack"
) -> Iterator[CompilerContext]:
    """Yield the context that a run is compiled in; the local cloud runs meanwhile.

    Raises:
        CredentialsError: credentials are missing.
    """
    with cloud_variables(component, settings) as environ:
        yield CompilerContext(stack, environ, lambda: _price_list(environ))


def _price_list(environ: Mapping[str, str]) -> list[MachineOffer]:
    def read() -> str:
        try:
            return credentialed.run("lightning_native.lightning.offers", environ=environ, timeout=_PRICES_SECONDS)
        except CloudError as error:
            raise CloudError(f"cannot read the price list: {error}") from error

    return recent_offers(environ, read)


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


def write_folder(folder: RunFolder, run: CompiledRun) -> ArchiveReport | None:
    """Write a run's folder, and return what was packed: nothing where the code is in images.

    Raises:
        ArchiveError: the source root cannot be packed.
        PlanError: no wheel can be made of it.
    """
    if run.packaging == "image":
        return folder.write(run.plan, None, run.variables)
    root = Path(source_utils.get_source_root())
    with made_wheel(root) if run.packaging == "wheel" else nullcontext(root) as packed:
        return folder.write(run.plan, packed, run.variables, own_extra=run.own_extra)


def announce(placeholder_run: "PipelineRunResponse | None", run_id: str) -> None:
    """Give ZenML's run its id now: ZenML refuses to stop a run that has none."""
    if placeholder_run and placeholder_run.orchestrator_run_id != run_id:
        update = PipelineRunUpdate(orchestrator_run_id=run_id)
        Client().zen_store.update_run(run_id=placeholder_run.id, run_update=update)


def start_controller(
    component: "StackComponent",
    settings: LightningNativeStepSettings,
    folder: RunFolder,
    *,
    synchronous: bool = False,
    module: str = CONTROLLER,
    arguments: Sequence[str] = (),
    on_stop: Callable[[], object] = lambda: None,
) -> ControllerProcess:
    """Start the process that drives the run of a folder, with `arguments` for its module."""
    root = local_cloud_root(settings)
    return ControllerProcess(
        folder,
        folder.plan(),
        local_cloud=root,
        environ=credentials_of(component, settings) if root is None else {},
        synchronous=synchronous,
        controller=(module, *arguments),
        on_stop=on_stop,
    )


def start_again(
    component: "StackComponent", settings: LightningNativeStepSettings, folder: RunFolder
) -> ControllerProcess:
    """Start another controller for a run whose controller died, in the same way.

    Raises:
        PlanError: the run has ended.
    """
    (module, *arguments), _local_cloud = folder.controller()
    return start_controller(component, settings, folder, module=module, arguments=arguments)


def drive(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    folder: RunFolder,
    pipeline_run: UUID | None,
    *,
    hosting: bool = False,
) -> ControllerProcess:
    """Start the controller of a pipeline's run on this machine.

    Args:
        orchestrator: of the pipeline.
        settings: of the pipeline.
        folder: of the run.
        pipeline_run: ZenML's run to publish to.
        hosting: whether the run's one step is itself the controller of a dynamic pipeline.
    """
    return start_controller(
        orchestrator,
        settings,
        folder,
        synchronous=settings.synchronous,
        arguments=(*_publication(pipeline_run), *(("--hosting",) if hosting else ())),
        # ZenML shows a step that ends by a signal as failed unless it knows before that its run is stopping.
        on_stop=lambda: _publish_stop(pipeline_run),
    )


def hand_over(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    folder: RunFolder,
    pipeline_run: UUID | None,
) -> ControllerProcess:
    """Start the process that hands a pipeline's run over to a controller on Lightning."""
    arguments = ("--component", str(orchestrator.id), *_publication(pipeline_run))
    return start_controller(orchestrator, settings, folder, module=_LAUNCH, arguments=arguments)


def _publication(pipeline_run: UUID | None) -> tuple[str, ...]:
    return ("--pipeline-run", str(pipeline_run)) if pipeline_run else ()


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish.publisher import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
