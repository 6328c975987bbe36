"""The live price list: the machines, what they have and cost, and how long they take to start.

`python -m lightning_native.lightning.offers` prints it as JSON: the SDK takes credentials from the environment of its
process, so a process that must not have them has another read the list.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lightning_native.errors import CloudError
from lightning_native.home import home, write_private
from lightning_native.lightning.machines import machine_slugs
from lightning_native.lightning.sdk.internals import cloud_accounts_client, listed_machines, price_list_client

if TYPE_CHECKING:
    from lightning_sdk import Teamspace

_FRESH_SECONDS = 3600.0
# Gigabytes of one GPU, which the price list does not have; for a name of several kinds, the least.
_GPU_MEMORY_GB = {
    "T4": 16, "L4": 24, "L40S": 48, "RTXP_6000": 96, "A100": 40, "A100_40GB": 40, "A100_80GB": 80,
    "H100": 80, "H200": 141, "B200": 180,
}  # fmt: skip


@dataclass(frozen=True)
class MachineOffer:
    """A machine that Lightning offers.

    Attributes:
        name: the SDK's name.
        hourly_cost: dollars an hour.
        interruptible_hourly_cost: dollars an hour as an interruptible machine; None: not offered as one.
        cpus: the CPUs of the whole machine.
        memory_gb: main memory of the whole machine; 0 if the list does not have it.
        gpus: the number of GPUs.
        gpu_type: the kind of GPU by the SDK's name, such as `A100_80GB`; empty without one.
        gpu_memory_gb: memory of each GPU; 0 if it is unknown.
        wait_seconds: the expected time until the machine runs; None if it is unknown.
        available: whether Lightning has capacity for it now.
    """

    name: str
    hourly_cost: float
    interruptible_hourly_cost: float | None = None
    cpus: int = 0
    memory_gb: float = 0.0
    gpus: int = 0
    gpu_type: str = ""
    gpu_memory_gb: float = 0.0
    wait_seconds: float | None = None
    available: bool = True

    def cost(self, *, interruptible: bool = False) -> float:
        """Return the cost in dollars an hour."""
        if interruptible and self.interruptible_hourly_cost is not None:
            return self.interruptible_hourly_cost
        return self.hourly_cost


def recent_offers(environ: Mapping[str, str], read: Callable[[], str]) -> list[MachineOffer]:
    """Return a price list that is at most an hour old.

    Args:
        environ: names the cloud and the teamspace.
        read: returns the list as this module prints it; called where no recent one is kept.
    """
    names = ("LIGHTNING_CLOUD_URL", "LIGHTNING_NATIVE_CLOUD_ROOT", "LIGHTNING_ORG", "LIGHTNING_USERNAME")
    where = [{**os.environ, **environ}.get(name) for name in (*names, "LIGHTNING_TEAMSPACE")]
    kept = home() / f"prices-{hashlib.sha256(json.dumps(where).encode()).hexdigest()[:16]}.json"
    if kept.exists() and time.time() - kept.stat().st_mtime < _FRESH_SECONDS:
        text = kept.read_text()
    else:
        text = read()
        partial = kept.with_suffix(f".{time.monotonic_ns()}")
        write_private(partial, text)
        partial.replace(kept)
    return [MachineOffer(**offer) for offer in json.loads(text)]


def fetch_offers(teamspace: "Teamspace") -> list[MachineOffer]:
    """Read the price list of a teamspace: one offer for each machine, the cheapest machine first.

    If several cloud accounts offer a machine, the first account with capacity counts; the teamspace's own choice is the
    first of all. Within an account, the cheapest offer with capacity counts.

    Raises:
        CloudError: the list cannot be read.
    """
    offers: dict[str, MachineOffer] = {}
    try:
        client = price_list_client()
        if client is None:
            return _public_offers(teamspace)
        for account in _accounts(teamspace):
            accelerators = _accelerators(teamspace, account, client)
            found = [offer for accelerator in accelerators if (offer := _offer(accelerator))]
            for offer in sorted(found, key=lambda offer: (not offer.available, offer.hourly_cost)):
                known = offers.get(offer.name)
                if known is None or (offer.available and not known.available):
                    offers[offer.name] = offer
    except Exception as error:
        raise CloudError(f"cannot read the price list of Lightning: {error}") from error
    if not offers:
        raise CloudError("the price list of Lightning is empty: no cloud account of the teamspace offers machines")
    return sorted(offers.values(), key=lambda offer: (offer.hourly_cost, offer.name))


def _public_offers(teamspace: "Teamspace") -> list[MachineOffer]:
    """Return the SDK's public list: machines with capacity, without their CPUs and memory."""
    from lightning_sdk import Machine

    offers: dict[str, MachineOffer] = {}
    for machine in sorted(listed_machines(teamspace), key=lambda machine: float(machine.cost or 0)):
        name = Machine.from_str(machine.slug).name
        if name not in machine_slugs() or machine.cost is None:
            continue
        # The number of CPUs if the machine has no GPU.
        count = int(machine.accelerator_count or 0)
        kind = _kind(name, count)
        gpus = count if kind in _GPU_MEMORY_GB else 0
        spot, wait = machine.interruptible_cost, machine.wait_time
        offer = MachineOffer(
            name=name,
            hourly_cost=float(machine.cost),
            interruptible_hourly_cost=float(spot) if spot else None,
            gpus=gpus,
            gpu_type=kind if gpus else "",
            gpu_memory_gb=float(_GPU_MEMORY_GB.get(kind, 0)),
            wait_seconds=float(wait) if wait is not None else None,
        )
        offers.setdefault(name, offer)
    return sorted(offers.values(), key=lambda offer: (offer.hourly_cost, offer.name))


def _kind(name: str, gpus: int) -> str:
    """Return the kind of GPU from the SDK's name of a machine: `A100_80GB_X_4` is four `A100_80GB`."""
    return name.removesuffix(f"_X_{gpus}").removesuffix("_SMALL")


def _accounts(teamspace: "Teamspace") -> list[str]:
    """Return the cloud accounts to ask; the first is the one from which machines come by default."""
    client = cloud_accounts_client()
    chosen = os.environ.get("LIGHTNING_CLUSTER_ID") or teamspace.default_cloud_account
    known = (
        [str(account.id) for account in client.list_global_cloud_accounts(teamspace_id=teamspace.id)] if client else []
    )
    return [chosen, *(account for account in known if account != chosen)] if chosen else known


def _accelerators(teamspace: "Teamspace", account: str, client: Any) -> Iterator[Any]:
    from lightning_sdk import Organization

    owner = teamspace.owner
    yield from client.list_machines(
        teamspace.id, cloud_accounts=[account], org_id=owner.id if isinstance(owner, Organization) else None
    )


def _offer(accelerator: Any) -> MachineOffer | None:
    """Return the offer; None if the SDK has no name for the machine, or if it cannot be rented."""
    from lightning_sdk import Machine

    slugs = [accelerator.slug_multi_cloud, accelerator.slug, accelerator.instance_id, accelerator.secondary_instance_id]
    first, *others = [slug for slug in slugs if slug] or [""]
    name = Machine.from_str(first, *others).name
    if name not in machine_slugs() or accelerator.enabled is False or accelerator.cost is None:
        return None
    resources = accelerator.resources
    gpus = int(resources.gpu or 0)
    kind = _kind(name, gpus) if gpus else ""
    wait = accelerator.available_in_seconds
    return MachineOffer(
        name=name,
        hourly_cost=float(accelerator.cost),
        interruptible_hourly_cost=float(accelerator.spot_price) if accelerator.spot_price else None,
        cpus=int(resources.cpu or 0),
        memory_gb=float(resources.memory_mb or 0) / 1024,
        gpus=gpus,
        gpu_type=kind,
        gpu_memory_gb=float(_GPU_MEMORY_GB.get(kind, 0)),
        wait_seconds=float(wait) if wait not in (None, "") else None,
        available=not accelerator.out_of_capacity,
    )


if __name__ == "__main__":
    from lightning_native.lightning.session import open_teamspace

    json.dump([asdict(offer) for offer in fetch_offers(open_teamspace())], sys.stdout)
