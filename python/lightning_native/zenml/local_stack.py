"""A ZenML stack on the local cloud, created in one call."""

from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.models import FlavorFilter

FLAVOR_SOURCE = "lightning_native.zenml.flavor.LightningNativeOrchestratorFlavor"
FLAVOR_NAME = "lightning_native"


def register_local_stack(name: str) -> None:
    """Register the flavor if it is not known, and a stack of this name on the local cloud, and make it active."""
    client = Client()
    flavors = client.zen_store.list_flavors(FlavorFilter(name=FLAVOR_NAME, type=StackComponentType.ORCHESTRATOR))
    if not flavors.total:
        client.create_flavor(source=FLAVOR_SOURCE, component_type=StackComponentType.ORCHESTRATOR)
    client.create_stack_component(
        name=name,
        flavor=FLAVOR_NAME,
        component_type=StackComponentType.ORCHESTRATOR,
        configuration={"cloud": "local"},
    )
    client.create_stack(
        name=name,
        components={StackComponentType.ORCHESTRATOR: name, StackComponentType.ARTIFACT_STORE: "default"},
    )
    client.activate_stack(name)
