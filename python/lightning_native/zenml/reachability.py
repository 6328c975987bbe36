"""The check that steps on Lightning can reach a stack's data."""

from typing import TYPE_CHECKING

from zenml.stack import StackValidator

if TYPE_CHECKING:
    from zenml.stack import Stack, StackComponent


def reachability(component: "StackComponent", cloud: str) -> StackValidator:
    """Return the validator that refuses a stack whose data the steps of a component could not reach."""
    return StackValidator(custom_validation_function=lambda stack: reachable(component, cloud, stack))


def reachable(component: "StackComponent", cloud: str, stack: "Stack") -> tuple[bool, str]:
    """Return whether steps on Lightning can reach a stack's data, and the reason if they cannot."""
    if cloud == "local" or not stack.artifact_store.config.is_local:
        return True, ""
    kind = component.type.value.replace("_", "-")
    return False, (
        f"the artifact store {stack.artifact_store.name!r} is on this machine, where studios on Lightning AI "
        "cannot reach it; use a remote artifact store (S3, GCS, …), or the local cloud: "
        f"zenml {kind} update {component.name} --cloud=local"
    )
