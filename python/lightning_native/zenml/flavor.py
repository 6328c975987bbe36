"""The flavor that `zenml orchestrator flavor register` takes."""

from typing import TYPE_CHECKING

from zenml.orchestrators.base_orchestrator import BaseOrchestratorFlavor

from lightning_native.zenml.config import LightningNativeOrchestratorConfig

if TYPE_CHECKING:
    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator


class LightningNativeOrchestratorFlavor(BaseOrchestratorFlavor):
    """Flavor `lightning_native`: pipelines on Lightning AI, or on the local cloud."""

    @property
    def name(self) -> str:
        """The name of the flavor."""
        return "lightning_native"

    @property
    def logo_url(self) -> str:
        """The logo that ZenML's dashboard shows."""
        return "https://public-flavor-logos.s3.eu-central-1.amazonaws.com/orchestrator/lightning.png"

    @property
    def config_class(self) -> type[LightningNativeOrchestratorConfig]:
        """The class of the configuration."""
        return LightningNativeOrchestratorConfig

    @property
    def implementation_class(self) -> type["LightningNativeOrchestrator"]:
        """The class of the orchestrator."""
        from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

        return LightningNativeOrchestrator
