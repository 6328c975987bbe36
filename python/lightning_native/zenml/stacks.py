"""ZenML stacks with our orchestrator: their registration, on the local cloud or an account."""

from collections.abc import Mapping

from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.models import ComponentResponse, FlavorFilter

FLAVOR_NAME = "lightning_native"
_SOURCES = {
    StackComponentType.ORCHESTRATOR: "lightning_native.zenml.flavor.LightningNativeOrchestratorFlavor",
    StackComponentType.STEP_OPERATOR: "lightning_native.zenml.flavor.LightningNativeStepOperatorFlavor",
}


def register_flavors() -> list[str]:
    """Register the flavors that ZenML does not know, and return their kinds."""
    client, added = Client(), []
    for kind, source in _SOURCES.items():
        if not client.zen_store.list_flavors(FlavorFilter(name=FLAVOR_NAME, type=kind)).total:
            client.create_flavor(source=source, component_type=kind)
            added.append(kind.value.replace("_", " "))
    return added


def has_stack(name: str) -> bool:
    """Return whether ZenML has a stack of a name."""
    return any(stack.name == name for stack in Client().list_stacks(name=name).items)


def register_stack(name: str, configuration: Mapping[str, str], artifact_store: str) -> None:
    """Register an orchestrator and a stack of the same name, unless they are there."""
    client, kind = Client(), StackComponentType.ORCHESTRATOR
    if not client.list_stack_components(name=name, type=kind).total:
        client.create_stack_component(
            name=name, flavor=FLAVOR_NAME, component_type=kind, configuration=dict(configuration)
        )
    client.create_stack(name=name, components={kind: name, StackComponentType.ARTIFACT_STORE: artifact_store})


def activate_stack(name: str) -> None:
    """Make a stack the active one."""
    Client().activate_stack(name)


def remote_artifact_stores() -> list[str]:
    """Return the names of the artifact stores that other machines can reach, that of the active stack first."""
    client = Client()
    stores: list[ComponentResponse] = list(client.list_stack_components(type=StackComponentType.ARTIFACT_STORE).items)
    active = client.active_stack.artifact_store.name
    remote = [store.name for store in stores if store.flavor_name != "local"]
    return sorted(remote, key=lambda name: (name != active, name))


def register_local_stack(name: str) -> None:
    """Register the flavors, and a stack of this name on the local cloud, and make it active."""
    register_flavors()
    register_stack(name, {"cloud": "local"}, "default")
    activate_stack(name)
