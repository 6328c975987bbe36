"""The flavors that `zenml orchestrator flavor register` and `zenml step-operator flavor register` take."""

from typing import TYPE_CHECKING

from zenml.orchestrators.base_orchestrator import BaseOrchestratorFlavor
from zenml.step_operators.base_step_operator import BaseStepOperatorFlavor

from lightning_native.zenml.config import LightningNativeOrchestratorConfig, LightningNativeStepOperatorConfig

if TYPE_CHECKING:
    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator
    from lightning_native.zenml.step_operator import LightningNativeStepOperator

NAME = "lightning_native"
_LOGO = "https://public-flavor-logos.s3.eu-central-1.amazonaws.com/orchestrator/lightning.png"
_DOCS = "https://docs.zenml.io/stacks/stack-components/orchestrators/lightning"
_SDK_DOCS = "https://lightning.ai/docs/overview/sdk-reference"


class _Presentation:
    """The presentation of both flavors in ZenML."""

    @property
    def name(self) -> str:
        """The name of the flavor."""
        return NAME

    @property
    def logo_url(self) -> str:
        """The logo that ZenML's dashboard shows."""
        return _LOGO

    @property
    def docs_url(self) -> str:
        """The documentation that ZenML's dashboard links to."""
        return _DOCS

    @property
    def sdk_docs_url(self) -> str:
        """The documentation of the SDK that runs underneath."""
        return _SDK_DOCS


class LightningNativeOrchestratorFlavor(_Presentation, BaseOrchestratorFlavor):
    """Flavor `lightning_native`: pipelines on Lightning AI, or on the local cloud."""

    @property
    def config_class(self) -> type[LightningNativeOrchestratorConfig]:
        """The class of the configuration."""
        return LightningNativeOrchestratorConfig

    @property
    def implementation_class(self) -> type["LightningNativeOrchestrator"]:
        """The class of the orchestrator."""
        from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

        return LightningNativeOrchestrator


class LightningNativeStepOperatorFlavor(_Presentation, BaseStepOperatorFlavor):
    """Flavor `lightning_native`: single steps on Lightning AI, from any orchestrator."""

    @property
    def config_class(self) -> type[LightningNativeStepOperatorConfig]:
        """The class of the configuration."""
        return LightningNativeStepOperatorConfig

    @property
    def implementation_class(self) -> type["LightningNativeStepOperator"]:
        """The class of the step operator."""
        from lightning_native.zenml.step_operator import LightningNativeStepOperator

        return LightningNativeStepOperator
