"""The parts that every submission has: its compiler's context, its folder, its controller and its id in ZenML."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.models import PipelineRunUpdate
from zenml.orchestrators.publish_utils import publish_pipeline_run_metadata
from zenml.utils import source_utils

from lightning_native import ArchiveReport
from lightning_native.engine.display.summary import summary_of
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.process import credentialed
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.process.credentialed import controller_environment
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios.interpreter import difference_at_submission
from lightning_native.errors import CloudError
from lightning_native.lightning.offers import MachineOffer, recent_offers
from lightning_native.zenml.access import cloud_variables, credentials_of, local_cloud_root
from lightning_native.zenml.compiler.compiled_run import CompiledRun, CompilerContext
from lightning_native.zenml.compiler.wheel import made_wheel
from lightning_native.zenml.config import LightningNativeOrchestratorSettings, LightningNativeStepSettings
from lightning_native.zenml.publish.bills import adopt_bills
from lightning_native.zenml.publish.metadata import cost_metadata
from lightning_native.zenml.publish.report import keep_report

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


def write_folder(
    folder: RunFolder,
    run: CompiledRun,
    component: "StackComponent",
    settings: LightningNativeStepSettings,
    *,
    controller: Sequence[str] = (CONTROLLER,),
    inner: CompiledRun | None = None,
) -> ArchiveReport | None:
    """Write a run's folder, and return what was packed: nothing where the code is in images.

    Args:
        folder: the run's folder.
        run: the run.
        component: the orchestrator or step operator that submits it.
        settings: those of the run.
        controller: the controller's module, and arguments of its own.
        inner: the run that the controller drives on Lightning.

    Raises:
        ArchiveError: the source root cannot be packed.
        PlanError: no wheel can be made of it.
    """
    local_cloud = local_cloud_root(settings)
    origin = Origin(
        tuple(controller),
        str(local_cloud) if local_cloud else None,
        own_extra=run.own_extra,
        component=str(component.id),
    )
    if isinstance(settings, LightningNativeOrchestratorSettings):
        origin = origin.changed(on_terminate=settings.on_terminate)
    within = (inner.plan, inner.variables) if inner else None
    if run.packaging == "image":
        return folder.write(run.plan, None, run.variables, origin=origin.changed(own_extra=None), inner=within)
    root = Path(source_utils.get_source_root())
    with made_wheel(root) if run.packaging == "wheel" else nullcontext(root) as packed:
        return folder.write(run.plan, packed, run.variables, origin=origin, inner=within)


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
    on_stop: Callable[[], object] = lambda: None,
) -> ControllerProcess:
    """Start the process that drives the run of a folder; another one, if the first has died.

    Raises:
        PlanError: the run has ended.
    """
    return ControllerProcess(
        folder,
        folder.plan(),
        environ=credentials_of(component, settings) if local_cloud_root(settings) is None else {},
        synchronous=synchronous,
        on_stop=on_stop,
    )


def driving(pipeline_run: UUID | None, *, hosting: bool = False, may_be_cached: bool = False) -> tuple[str, ...]:
    """Return the controller of a pipeline's run on this machine.

    Args:
        pipeline_run: ZenML's run to publish to.
        hosting: whether the run's one step is itself the controller of a dynamic pipeline.
        may_be_cached: whether a step may turn out in mid-run to be cached.
    """
    options = (*(("--hosting",) if hosting else ()), *(("--may-be-cached",) if may_be_cached else ()))
    return (CONTROLLER, *_publication(pipeline_run), *options)


def handing_over(orchestrator: "StackComponent", pipeline_run: UUID | None) -> tuple[str, ...]:
    """Return the process that hands a pipeline's run over to a controller on Lightning."""
    return (_LAUNCH, "--component", str(orchestrator.id), *_publication(pipeline_run))


def drive(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    folder: RunFolder,
    pipeline_run: UUID | None,
) -> ControllerProcess:
    """Start the controller of a pipeline's run on this machine."""
    return start_controller(
        orchestrator,
        settings,
        folder,
        synchronous=settings.synchronous,
        # ZenML shows a step that ends by a signal as failed unless it knows before that its run is stopping.
        on_stop=lambda: _publish_stop(pipeline_run),
    )


def wait_and_tell_cost(
    orchestrator: "StackComponent",
    controller: ControllerProcess,
    run_id: str,
    pipeline_run: UUID | None,
    *,
    is_dynamic: bool = False,
) -> Callable[[], None]:
    """Return a function that waits for the end of a run, sums it up, and publishes its cost and report.

    A dynamic pipeline's includes those of its isolated steps, each of which is a run of its own.
    """

    def wait() -> None:
        try:
            controller.wait()
        finally:
            with Journal() as journal:
                if is_dynamic and pipeline_run:
                    _adopt_bills(journal, run_id, pipeline_run)
                sys.stderr.write(f"{summary_of(journal, run_id)}\n")
                if pipeline_run:
                    _publish_end_of(journal, run_id, orchestrator, pipeline_run)

    return wait


def _adopt_bills(journal: Journal, run_id: str, pipeline_run: UUID) -> None:
    try:
        adopt_bills(journal, run_id, pipeline_run)
    except Exception as error:
        logger.warning("The isolated steps of run %s are not among its steps and costs here: %s", run_id, error)


def _publish_end_of(journal: Journal, run_id: str, orchestrator: "StackComponent", pipeline_run: UUID) -> None:
    """Publish a run's cost and report as metadata of ZenML's run."""
    cost = CostSummary.of(journal, run_id)
    try:
        metadata = cost_metadata(cost, journal.steps(run_id)) if cost is not None else {}
        if uri := keep_report(journal, run_id):
            metadata["report"] = Uri(uri)
        publish_pipeline_run_metadata(pipeline_run, {orchestrator.id: metadata})
    except Exception as error:
        # The end of the run matters more.
        logger.warning("The cost and the report of run %s could not be published: %s", run_id, error)


def _publication(pipeline_run: UUID | None) -> tuple[str, ...]:
    return ("--pipeline-run", str(pipeline_run)) if pipeline_run else ()


def _publish_stop(pipeline_run: UUID | None) -> None:
    if pipeline_run:
        from lightning_native.zenml.publish.publisher import RunPublisher

        RunPublisher(pipeline_run).run_stopping("Interrupted by the user.")
