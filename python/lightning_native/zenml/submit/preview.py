"""The plan of a pipeline that is not run: its file is loaded, and the pipeline compiled for the active stack."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

from zenml.client import Client
from zenml.config.compiler import Compiler
from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
from zenml.integrations.registry import integration_registry
from zenml.pipelines.pipeline_definition import Pipeline
from zenml.utils.source_utils import set_custom_source_root

from lightning_native.engine.plan import RunPlan
from lightning_native.errors import CloudError, PlanError
from lightning_native.lightning.offers import MachineOffer
from lightning_native.zenml.compiler.pipeline import compile_pipeline
from lightning_native.zenml.config import LightningNativeOrchestratorConfig, orchestrator_settings
from lightning_native.zenml.submit.base import compiler_context
from lightning_native.zenml.submit.cached import cached_steps

if TYPE_CHECKING:
    from zenml.models import PipelineSnapshotResponse
    from zenml.orchestrators import ContainerizedOrchestrator

# Nothing is stored, so that nothing has an id.
_NOTHING = UUID(int=0)
_TO_BE_BUILT = "zenml-builds-it-at-submission"


@dataclass(frozen=True)
class Preview:
    """A pipeline as it would run.

    Attributes:
        plan: of the steps that would run; None: all are cached.
        cached: the steps whose results ZenML would reuse.
        offers: the price list.
        no_prices: the reason why there is none.
        root: the folder of the code.
    """

    plan: RunPlan | None
    cached: tuple[str, ...]
    offers: list[MachineOffer]
    no_prices: str
    root: Path


def preview(path: Path, name: str | None) -> Preview:
    """Return what a pipeline of a Python file would do on the active stack.

    Args:
        path: the file; it is imported, so that what it does outside of `if __name__ == "__main__"` happens.
        name: of the pipeline in it; None: the only one.

    Raises:
        PlanError: the file cannot be imported, has no such pipeline, or it cannot run as it is written.
    """
    root = path.resolve().parent
    pipeline = _pipeline(_loaded(path, root), path, name)
    if pipeline.is_dynamic:
        raise PlanError(f"pipeline {pipeline.name!r} is dynamic: which steps it has shows while it runs")
    stack = Client().active_stack
    if not isinstance(stack.orchestrator.config, LightningNativeOrchestratorConfig):
        raise PlanError(
            f"the orchestrator of the active stack {stack.name!r} is not ours; set a stack with: lightning-native init"
        )
    orchestrator = cast("ContainerizedOrchestrator", stack.orchestrator)
    integration_registry.activate_integrations()
    try:
        pipeline.prepare()
        compiled = Compiler().compile(pipeline=pipeline, stack=stack, run_configuration=PipelineRunConfiguration())
    except Exception as error:
        raise PlanError(f"pipeline {pipeline.name!r} of {path} cannot be compiled: {error}") from error
    snapshot = cast("PipelineSnapshotResponse", _unsaved(compiled))
    settings = orchestrator_settings(orchestrator, snapshot)
    cached = cached_steps(snapshot.step_configurations, snapshot.pipeline_configuration, stack)
    _leave_out(snapshot, cached)
    if not snapshot.step_configurations:
        return Preview(None, tuple(cached), [], "", root)
    variables: dict[str, dict[str, str]] = {step: {} for step in snapshot.step_configurations}
    with compiler_context(orchestrator, settings, stack) as context:
        run = compile_pipeline(uuid4().hex, orchestrator, snapshot, variables, context)
        try:
            return Preview(run.plan, tuple(cached), list(context.price_list()), "", root)
        except CloudError as error:
            return Preview(run.plan, tuple(cached), [], f"without prices: {error}", root)


def _leave_out(snapshot: "PipelineSnapshotResponse", cached: list[str]) -> None:
    """Remove cached steps from a snapshot, as ZenML does at submission."""
    for name in cached:
        del snapshot.step_configurations[name]
    for step in snapshot.step_configurations.values():
        step.spec.upstream_steps[:] = [name for name in step.spec.upstream_steps if name not in cached]


def _loaded(path: Path, root: Path) -> ModuleType:
    if not path.is_file():
        raise PlanError(f"{path} is no file; name one, such as run.py:my_pipeline")
    set_custom_source_root(str(root))
    os.environ["ZENML_CUSTOM_SOURCE_ROOT"] = str(root)
    sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PlanError(f"{path} is no Python file; name one, such as run.py:my_pipeline")
    module = importlib.util.module_from_spec(spec)
    # ZenML finds the steps' code by the name of their module.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PlanError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _pipeline(module: ModuleType, path: Path, name: str | None) -> Pipeline:
    found = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    names = ", ".join(found) or "none"
    if name is None and len(found) != 1:
        example = next(iter(found), "my_pipeline")
        raise PlanError(f"{path} has {len(found)} pipelines ({names}); name one, such as {path}:{example}")
    if name is not None and name not in found:
        raise PlanError(f"{path} has no pipeline {name!r}; choose from: {names}")
    return found[name] if name is not None else next(iter(found.values()))


def _unsaved(compiled: Any) -> SimpleNamespace:
    """Return a compiled pipeline in the form of one that ZenML has stored, with images as if they had been built."""

    def image(component_key: str, step: str) -> str:
        del component_key
        settings = compiled.step_configurations[step].config.docker_settings
        return str(settings.parent_image) if settings.skip_build else _TO_BE_BUILT

    return SimpleNamespace(
        id=_NOTHING,
        build=SimpleNamespace(get_image=image),
        schedule=None,
        is_dynamic=False,
        stack=None,
        pipeline_configuration=compiled.pipeline_configuration,
        step_configurations=compiled.step_configurations,
        client_environment=compiled.client_environment,
    )
