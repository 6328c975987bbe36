"""What older versions of ZenML do not have."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration

if TYPE_CHECKING:
    from zenml.config import ResourceSettings
    from zenml.config.resource_settings import PoolResourceDemand
    from zenml.config.step_configurations import StepConfiguration

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


def signal_handler() -> type | None:
    """Return what handles the signals that a step gets, where that is a class of its own."""
    try:
        from zenml.orchestrators.signal_handler import SignalHandler
    except ImportError:  # before 0.95
        return None
    return SignalHandler


def pool_demands(resources: "ResourceSettings") -> list["PoolResourceDemand"]:
    """Return what resource settings ask of resource pools."""
    demands: list[PoolResourceDemand] = getattr(resources, "normalized_resources", [])
    return demands


def gpu_class_of(resources: "ResourceSettings") -> str | None:
    """Return the kind of GPU that resource settings ask for."""
    kind: str | None = getattr(resources, "gpu_class", None)
    return kind


__all__ = ["get_step_entrypoint_command", "gpu_class_of", "pool_demands"]
