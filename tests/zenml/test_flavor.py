"""The flavors as ZenML registers them."""

import subprocess
import sys

import pytest
from zenml.enums import StackComponentType

from lightning_native.zenml.compiler.docker_settings import own_requirements
from lightning_native.zenml.flavor import LightningNativeOrchestratorFlavor, LightningNativeStepOperatorFlavor

Flavor = LightningNativeOrchestratorFlavor | LightningNativeStepOperatorFlavor


def test_flavors_and_their_settings_load_without_the_sdk() -> None:
    code = (
        "import sys; sys.modules['lightning_sdk'] = None\n"
        "from lightning_native.zenml.flavor import LightningNativeOrchestratorFlavor as F\n"
        "assert F().config_class(cloud='local').is_local is False"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("flavor", [LightningNativeOrchestratorFlavor(), LightningNativeStepOperatorFlavor()])
def test_a_flavor_has_its_name_its_addresses_and_its_implementation(flavor: Flavor) -> None:
    assert flavor.name == "lightning_native"
    assert flavor.type in (StackComponentType.ORCHESTRATOR, StackComponentType.STEP_OPERATOR)
    for url in (flavor.logo_url, flavor.docs_url, flavor.sdk_docs_url):
        assert url.startswith("https://")
    assert flavor.implementation_class.__module__.startswith("lightning_native.zenml.")
    model = flavor.to_model(is_custom=True)
    assert model.source.endswith(type(flavor).__name__)
    assert "api_key" in model.config_schema["properties"]


def test_the_cloud_decides_whether_zenml_must_be_reachable_from_outside() -> None:
    config = LightningNativeOrchestratorFlavor().config_class
    assert (config().is_remote, config(cloud="local").is_remote) == (True, False)
    assert (config().is_synchronous, config(synchronous=False).is_synchronous) == (True, False)
    assert config().is_schedulable
    assert config().handles_step_retries
    assert config().supports_client_side_caching
    assert {requirement.partition("==")[0] for requirement in own_requirements()} == {"zenml"}
