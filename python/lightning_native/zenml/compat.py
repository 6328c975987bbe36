"""Names of ZenML that another version may lack: private ones, and those that older versions do not have yet.

Each has a fallback: when ZenML's next version renames one, this module needs a fix, but every step still starts.
"""

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import zenml
from zenml.client import Client
from zenml.entrypoints.base_entrypoint_configuration import BaseEntrypointConfiguration
from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration
from zenml.logger import get_logger
from zenml.steps.step_context import StepContext
from zenml.utils import env_utils

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.config import ResourceSettings
    from zenml.config.resource_settings import PoolResourceDemand
    from zenml.config.step_configurations import Step, StepConfiguration
    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import StepRunResponse
    from zenml.orchestrators import BaseOrchestrator
    from zenml.orchestrators.step_run_utils import StepRunRequestFactory
    from zenml.stack import Stack

logger = get_logger(__name__)

_PUBLISHERS = ("orchestrators.publish_utils", "orchestrators.step_runner")
_PUBLISH_FAILURE = "publish_failed_step_run"
_HANDLE = "_handle"
_SIGNATURE = ("steps.utils", "get_resolved_signature")
_FINALIZE = "_finalize_shutdown"
_DOCUMENT = "_get_docstring_and_source_code"

try:
    from zenml.orchestrators.utils import get_step_entrypoint_command
except ImportError:  # before 0.95

    def get_step_entrypoint_command(
        invocation_id: str,
        config: "StepConfiguration",  # noqa: ARG001  of the signature
        entrypoint_config_class: type[StepEntrypointConfiguration],
        snapshot_id: UUID,
        **options: Any,
    ) -> tuple[list[str], list[str]]:
        """Return the command and the arguments that run a step."""
        command = entrypoint_config_class.get_entrypoint_command()
        return command, entrypoint_config_class.get_entrypoint_arguments(
            step_name=invocation_id, snapshot_id=snapshot_id, **options
        )


def _find(module: str, name: str) -> Any:
    """Return the object of this name; None where ZenML has none."""
    try:
        return getattr(importlib.import_module(f"zenml.{module}"), name, None)
    except ImportError:
        return None


@cache
def _warn_of_missing(name: str, consequence: str) -> None:
    logger.warning("ZenML %s has no %s: %s.", zenml.__version__, name, consequence)


# The exit code of a dynamic pipeline whose run has ended without success.
FAILED_RUN_EXIT_CODE = int(_find("constants", "DYNAMIC_PIPELINE_RUN_FAILED_EXIT_CODE") or 45)


class _NeverRaised(BaseException):
    """A stand-in for an exception that ZenML does not have, so that nothing raises it."""


RunStoppedException: type[BaseException] = _find("exceptions", "RunStoppedException") or _NeverRaised
RunInterruptedException: type[BaseException] = _find("exceptions", "RunInterruptedException") or _NeverRaised


def publish_failures_with(stand_in: Callable[[Callable[[UUID], Any]], Callable[[UUID], Any]]) -> None:
    """Have ZenML publish a failed step through a function of ours, which wraps its own.

    A step's process calls `publish_failed_step_run` from two modules.
    Fallback: ZenML publishes by itself.
    """
    modules = [module for name in _PUBLISHERS if (module := _module(name)) and hasattr(module, _PUBLISH_FAILURE)]
    for module in modules:
        setattr(module, _PUBLISH_FAILURE, stand_in(getattr(module, _PUBLISH_FAILURE)))
    if len(modules) < len(_PUBLISHERS):
        _warn_of_missing(_PUBLISH_FAILURE, "a step that is stopped, or loses its machine, may be shown as failed")


def handle_signals_with(
    stand_in: Callable[[Callable[..., None]], Callable[..., None]], raised: Callable[[Any], BaseException] | None
) -> None:
    """Have ZenML handle a step's signals through a function of ours, which wraps its own.

    `raised` returns the exception that ends the step; None leaves ZenML's. The names are private to the class that
    handles signals since 0.95; before that, no class does.
    Fallback: ZenML handles each signal by itself.
    """
    if zenml.__version__.startswith("0.94."):
        return
    handler = _find("orchestrators.signal_handler", "SignalHandler")
    if hasattr(handler, _HANDLE):
        setattr(handler, _HANDLE, stand_in(getattr(handler, _HANDLE)))
    else:
        _warn_of_missing(
            f"SignalHandler.{_HANDLE}", "a step that saves its work when it is to end may be told so again"
        )
    if hasattr(handler, _FINALIZE):
        if raised is not None:
            setattr(handler, _FINALIZE, raised)
    else:
        _warn_of_missing(f"SignalHandler.{_FINALIZE}", "a step that is to end asks ZenML why, which takes a moment")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"zenml.{name}")
    except ImportError:
        return None


def call_step_function(step: "Step", step_run: "StepRunResponse", stack: "Stack") -> None:
    """Call a step's function with the inputs of its step run, in its step context, and drop what it returns.

    ZenML's runner does so and publishes the outputs. Its parts are private. Fallback: none, the call is refused.
    """
    runner_class, resolve = _find("orchestrators.step_runner", "StepRunner"), _find(*_SIGNATURE)
    parts = ("_load_step", "_parse_inputs")
    if resolve is None or not all(hasattr(runner_class, part) for part in parts):
        raise NotImplementedError(f"ZenML {zenml.__version__} runs no step on several machines; set num_machines to 1")
    runner = runner_class(step=step, stack=stack)
    instance = runner._load_step()
    context = StepContext(
        pipeline_run=Client().get_pipeline_run(step_run.pipeline_run_id),
        step_run=step_run,
        output_materializers={},
        output_artifact_uris={},
        output_artifact_configs={},
    )
    with context:
        inputs = runner._parse_inputs(signature=resolve(instance.entrypoint), input_artifacts=step_run.inputs)
        environment = env_utils.get_runtime_environment(config=step_run.config, stack=stack)
        with env_utils.temporary_environment(environment):
            instance.call_entrypoint(**inputs)


def artifact_store_of(configuration: BaseEntrypointConfiguration) -> "BaseArtifactStore":
    """Return the artifact store that an entrypoint's code is in.

    ZenML's own method loads no other component of the stack. Fallback: the whole stack.
    """
    load = getattr(configuration, "_load_active_artifact_store", None)
    store: BaseArtifactStore = load() if load else Client().active_stack.artifact_store
    return store


def entrypoint_class(module: str, name: str) -> Any:
    """Return an entrypoint configuration of ZenML's to derive from.

    Fallback: a class that raises when it is run, so that the others can be imported.
    """

    class Lacking(BaseEntrypointConfiguration):
        def run(self) -> None:
            raise NotImplementedError(f"ZenML {zenml.__version__} has no {name}; install a version that was tested")

    return _find(module, name) or Lacking


def option_name(module: str, constant: str, fallback: str) -> str:
    """Return the name of an option of ZenML's entrypoints."""
    return str(_find(module, constant) or fallback)


def pool_demands(resources: "ResourceSettings") -> list["PoolResourceDemand"]:
    """Return the demands that resource settings have on resource pools."""
    demands: list[PoolResourceDemand] = getattr(resources, "normalized_resources", [])
    return demands


def gpu_class_of(resources: "ResourceSettings") -> str | None:
    """Return the kind of GPU that resource settings ask for."""
    kind: str | None = getattr(resources, "gpu_class", None)
    return kind


def load_no_code(factory: "StepRunRequestFactory") -> None:
    """Keep a factory of step runs from importing the user's code, which only documents a step.

    Fallback: it imports the code where that is on the path.
    """
    if hasattr(factory, _DOCUMENT):
        setattr(factory, _DOCUMENT, lambda step: (None, None))  # noqa: ARG005  ZenML's signature


def runs_inline(orchestrator: "BaseOrchestrator", info: "StepRunInfo") -> bool:
    """Return whether a step runs in the process of its dynamic pipeline.

    Fallback: no, so that no step is refused.
    """
    if not info.snapshot.is_dynamic:
        return False
    modules = ("execution.pipeline.dynamic.compilation", "execution.pipeline.dynamic.runner")
    runtime_of = next(filter(None, (_find(module, "get_step_runtime") for module in modules)), None)
    if runtime_of is None:
        return False
    docker = info.snapshot.pipeline_configuration.docker_settings
    found = runtime_of(step_config=info.config, pipeline_docker_settings=docker, orchestrator=orchestrator)
    runtime = found[0] if isinstance(found, tuple) else found
    return bool(runtime.value == "inline")


__all__ = ["get_step_entrypoint_command", "gpu_class_of", "pool_demands"]
