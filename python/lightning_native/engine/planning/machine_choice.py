"""The choice of the machines that have the resources a step asks for, cheapest first."""

from collections.abc import Iterable
from dataclasses import dataclass

from lightning_native.errors import PlanError
from lightning_native.lightning.machines import machine_slugs
from lightning_native.lightning.offers import MachineOffer

__all__ = ["MachineOffer", "ResourceRequest", "cheapest", "gpu_kinds"]

# The kinds of GPU that also satisfy a request for a kind, because the platform decides which A100 an `A100` is.
_BROADER = {"A100": ("A100_40GB", "A100_80GB")}


@dataclass(frozen=True)
class ResourceRequest:
    """The least resources of a machine; None: any amount.

    Attributes:
        gpus: the number of GPUs; 0: a machine without any; None: one with `gpu_type` or `gpu_memory_gb`, else any.
        gpu_type: the kind of GPU, in upper or lower case: `L4`, `A100`, `A100_80GB`, `RTX 6000 Pro`.
        cpus: the number of CPUs.
        memory_gb: main memory.
        gpu_memory_gb: memory of each GPU.
    """

    gpus: int | None = None
    gpu_type: str | None = None
    cpus: float | None = None
    memory_gb: float | None = None
    gpu_memory_gb: float | None = None

    def __post_init__(self) -> None:
        wants_gpu = self.gpu_type is not None or self.gpu_memory_gb is not None
        if wants_gpu and self.gpus == 0:
            raise PlanError(f"{self} asks for no GPU and for a kind of GPU; leave one out")
        if all(value is None for value in (self.gpus, self.gpu_type, self.cpus, self.memory_gb, self.gpu_memory_gb)):
            raise PlanError("a request for a machine asks for nothing; say gpu, gpu_type, gpu_memory, cpu or memory")

    @property
    def least_gpus(self) -> int:
        """The least number of GPUs."""
        if self.gpus is not None:
            return self.gpus
        return int(self.gpu_type is not None or self.gpu_memory_gb is not None)

    def __str__(self) -> str:
        """Return the request as people write it: `2 L4 with 24 GB, 8 CPUs, 64 GB`."""
        parts = []
        if self.least_gpus or self.gpus == 0:
            gpu = f"{self.least_gpus} {self.gpu_type or 'GPUs of any kind'}" if self.least_gpus else "no GPU"
            parts.append(gpu + (f" with {self.gpu_memory_gb:g} GB" if self.gpu_memory_gb else ""))
        parts += [f"{self.cpus:g} CPUs"] if self.cpus else []
        parts += [f"{self.memory_gb:g} GB"] if self.memory_gb else []
        return ", ".join(parts) or "any machine"


def cheapest(
    request: ResourceRequest,
    offers: Iterable[MachineOffer],
    *,
    interruptible: bool = False,
    cloud_account: str | None = None,
) -> list[str]:
    """Return the names of the machines that satisfy a request: those that can be had first, then by cost.

    Args:
        request: the least resources.
        offers: the price list.
        interruptible: whether machines may be interrupted; the cost is that on demand where this is no dearer.
        cloud_account: the only cloud account whose machines count; None: those of all.

    Raises:
        PlanError: no machine does; the message lists the nearest ones and the resources that they lack.
    """
    # The SDK's public list does not tell the accounts.
    known = [offer for offer in offers if not (cloud_account and offer.cloud_account not in ("", cloud_account))]
    fitting = [offer for offer in known if not lacks(request, offer)]
    if not fitting:
        raise PlanError(f"no machine has {request}; {_nearest(request, known, interruptible=interruptible)}")
    by_cost = sorted(
        fitting, key=lambda offer: (not offer.obtainable, offer.cost(interruptible=interruptible), offer.name)
    )
    return list(dict.fromkeys(offer.name for offer in by_cost))


def lacks(request: ResourceRequest, offer: MachineOffer) -> dict[str, float]:
    """Return the resources of a request that a machine lacks, each with the missing share (1: all of it)."""
    shortfalls = {
        f"{offer.gpus} GPUs": _short(offer.gpus, request.least_gpus),
        f"{offer.gpu_memory_gb:g} GB a GPU": _short(offer.gpu_memory_gb, request.gpu_memory_gb),
        f"{offer.cpus} CPUs": _short(offer.cpus, request.cpus),
        f"{offer.memory_gb:g} GB": _short(offer.memory_gb, request.memory_gb),
    }
    missing = {f"has {what}": short for what, short in shortfalls.items() if short > 0}
    if request.gpus == 0 and offer.gpus:
        missing["has a GPU"] = 1.0
    if request.least_gpus and request.gpu_type is None and not offer.gpu_memory_gb:
        # It may be no GPU at all, as a TPU is not, so that it is for requests that name it.
        missing[f"has {offer.gpu_type or 'no GPU'}, which the request does not name"] = 1.0
    if request.gpu_type is not None and _plain(offer.gpu_type) not in _kinds_for(request.gpu_type):
        missing[f"has {offer.gpu_type or 'no GPU'}"] = 1.0
    return missing


def gpu_kinds() -> list[str]:
    """Return the SDK's names of the kinds of GPU."""
    kinds = (name.partition("_X_")[0] for name in machine_slugs() if not name.startswith(("CPU", "DATA_PREP")))
    return list(dict.fromkeys(kind for kind in kinds if not kind.endswith("_SMALL")))


def known_gpu(name: str) -> bool:
    """Return whether a text names a kind of GPU."""
    return bool(_kinds_for(name) & {_plain(kind) for kind in gpu_kinds()})


def _kinds_for(wanted: str) -> set[str]:
    plain = _plain(wanted)
    kinds = {plain} | {_plain(kind) for kind in _BROADER.get(plain, ())}
    # The name in Lightning's price list and slugs.
    return kinds | {"RTXP6000"} if plain in ("RTXPRO", "RTX6000PRO", "RTXPRO6000") else kinds


def _plain(kind: str) -> str:
    return "".join(character for character in kind.upper() if character.isalnum())


def _short(has: float, wanted: float | None) -> float:
    return 0.0 if not wanted or has >= wanted else 1 - has / wanted


def _nearest(request: ResourceRequest, offers: list[MachineOffer], *, interruptible: bool) -> str:
    if not offers:
        return "the price list is empty"
    ranked = sorted(
        offers,
        key=lambda offer: (sum(lacks(request, offer).values()), offer.cost(interruptible=interruptible), offer.name),
    )
    names = list(dict.fromkeys(offer.name for offer in ranked))[:3]
    nearest = [next(offer for offer in ranked if offer.name == name) for name in names]
    near = [f"{offer.name} ({', '.join(lacks(request, offer))})" for offer in nearest]
    return f"the nearest are {', '.join(near)}"
