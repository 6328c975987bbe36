"""The run that the compiler makes of a snapshot, and the context that it compiles in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.machine_choice import MachineOffer

if TYPE_CHECKING:
    from zenml.stack import Stack


@dataclass(frozen=True)
class CompilerContext:
    """The stack and the cloud that a run is compiled for.

    Attributes:
        stack: the run's.
        environ: the variables with which a process of ours reaches the cloud.
        price_list: called only when machines are to be found for resource settings; raises CloudError.
    """

    stack: "Stack"
    environ: Mapping[str, str]
    price_list: Callable[[], list[MachineOffer]]


@dataclass(frozen=True)
class CompiledRun:
    """A checked plan with all that its steps need; nothing of it is a type of ZenML.

    Attributes:
        plan: of the run.
        variables: of each step's process, secrets among them.
        packaging: the form in which the code reaches the steps.
        own_extra: the extra of this package that its steps need; None: they need its Python part alone.
    """

    plan: RunPlan
    variables: Mapping[str, Mapping[str, str]]
    packaging: Literal["source", "wheel", "image"]
    own_extra: str | None = None
