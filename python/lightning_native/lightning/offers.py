"""The live price list: the machines, what they have and cost, and how long they take to start.

`python -m lightning_native.lightning.offers` prints it as JSON: the SDK takes credentials from the environment of its
process, so a process that must not have them has another read the list.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lightning_native.errors import CloudError
from lightning_native.home import home, write_private
from lightning_native.lightning.machines import is_slug, machine_slugs, provides, sdk_name
from lightning_native.lightning.sdk.internals import cloud_accounts_client, listed_machines, price_list_client

if TYPE_CHECKING:
    from lightning_sdk import Teamspace

_FRESH_SECONDS = 3600.0
# The list gives machines that cannot be had waits of ten thousand to millions of seconds, and calls them available;
# what the vendor's own notes call unobtainable begins here. No step waits so long for a machine.
_LONGEST_WAIT_SECONDS = 1e4
# Gigabytes of one GPU, which the price list has for some alone; for a name of several kinds, the least.
_GPU_MEMORY_GB = {
    "T4": 16, "L4": 24, "L40S": 48, "RTXP_6000": 96, "A100": 40, "A100_40GB": 40, "A100_80GB": 80,
    "H100": 80, "H200": 141, "B200": 180,
}  # fmt: skip


@dataclass(frozen=True)
class MachineOffer:
    """A machine that Lightning offers in one cloud account.

    Attributes:
        name: the SDK's name; the slug of a machine that the SDK does not name.
        hourly_cost: dollars an hour.
        interruptible_hourly_cost: dollars an hour as an interruptible machine, which may be more; None: not offered as
            one.
        cpus: the CPUs of the whole machine.
        memory_gb: main memory of the whole machine; 0 if the list does not have it.
        gpus: the number of GPUs.
        gpu_type: the kind of GPU by the SDK's name, such as `A100_80GB`, else by the list's; empty without one.
        gpu_memory_gb: memory of each GPU; 0 if it is unknown.
        wait_seconds: the expected time until the machine runs; None if it is unknown.
        available: whether Lightning has capacity for it now.
        cloud_account: the id of the account; empty if the list does not tell.
        needs_plan: whether accounts without a plan are refused it.
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
    cloud_account: str = ""
    needs_plan: bool = False

    @property
    def obtainable(self) -> bool:
        """Whether it can be had before a step's patience ends."""
        return self.available and (self.wait_seconds is None or self.wait_seconds < _LONGEST_WAIT_SECONDS)

    @property
    def is_cheaper_interruptible(self) -> bool:
        """Whether it costs less as an interruptible machine; some cost more, and are interrupted as well."""
        return self.interruptible_hourly_cost is not None and self.interruptible_hourly_cost < self.hourly_cost

    def cost(self, *, interruptible: bool = False) -> float:
        """Return the cost in dollars an hour; as an interruptible machine only where that is cheaper."""
        if interruptible and self.interruptible_hourly_cost is not None and self.is_cheaper_interruptible:
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
    """Read the price list of a teamspace: an offer for each machine of each cloud account, the cheapest first.

    Raises:
        CloudError: the list cannot be read.
    """
    offers: list[MachineOffer] = []
    try:
        client = price_list_client()
        if client is None:
            return _public_offers(teamspace)
        for account in _accounts(teamspace):
            accelerators = _accelerators(teamspace, account, client)
            found = [offer for accelerator in accelerators if (offer := _offer(accelerator, account))]
            # Several of an account's machines may have one name: zones, or the list's former slugs.
            found.sort(key=lambda offer: (not offer.obtainable, offer.hourly_cost))
            offers += {offer.name: offer for offer in reversed(found)}.values()
    except Exception as error:
        raise CloudError(f"cannot read the price list of Lightning: {error}") from error
    if not offers:
        raise CloudError("the price list of Lightning is empty: no cloud account of the teamspace offers machines")
    # The sort is stable: of equal offers, the default account's comes first.
    return sorted(offers, key=lambda offer: (offer.hourly_cost, offer.name))


def best_offer(
    offers: Iterable[MachineOffer],
    machine: str,
    *,
    interruptible: bool = False,
    cloud_account: str | None = None,
    default: str | None = None,
) -> MachineOffer | None:
    """Return the best offer of a machine: one that can be had, at the least cost; None if there is none.

    Args:
        offers: the price list.
        machine: the machine's name; of a name for several kinds, any of them.
        interruptible: whether it may be interrupted.
        cloud_account: the only account that counts; None: all of them.
        default: the account that is preferred among equal offers.
    """
    fitting = [
        offer
        for offer in offers
        if not (cloud_account and offer.cloud_account not in ("", cloud_account)) and provides(offer.name, machine)
    ]
    return min(
        fitting,
        key=lambda offer: (
            not offer.obtainable,
            offer.cost(interruptible=interruptible),
            offer.needs_plan,
            offer.cloud_account != default,
            offer.wait_seconds or 0.0,
            offer.cloud_account,
        ),
        default=None,
    )


def _public_offers(teamspace: "Teamspace") -> list[MachineOffer]:
    """Return the SDK's public list: machines with capacity, without their accounts, CPUs and memory."""
    offers: dict[str, MachineOffer] = {}
    for machine in sorted(listed_machines(teamspace), key=lambda machine: float(machine.cost or 0)):
        # The number of CPUs if the machine has no GPU.
        count = int(machine.accelerator_count or 0)
        name = _name([machine.slug, machine.instance_type], machine.family, count)
        if name is None or machine.cost is None:
            continue
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


def _name(slugs: Iterable[str | None], family: str | None, count: int) -> str | None:
    """Return the SDK's name of a machine: by any of its slugs, or by family and number, as the SDK compares machines.

    Without one, its slug; None: no request can name it.
    """
    given = [slug for slug in slugs if slug]
    known = (sdk_name(slug) for slug in (*given, f"lit-{(family or '').lower()}-{count}"))
    return next(filter(None, known), None) or next(filter(is_slug, given), None)


def _kind(name: str, gpus: int) -> str:
    """Return the kind of GPU from the SDK's name of a machine: `A100_80GB_X_4` is four `A100_80GB`."""
    return name.removesuffix(f"_X_{gpus}").removesuffix("_SMALL")


def default_account(teamspace: "Teamspace") -> str | None:
    """Return the cloud account on which studios and jobs are that name none."""
    return os.environ.get("LIGHTNING_CLUSTER_ID") or teamspace.default_cloud_account


def _accounts(teamspace: "Teamspace") -> list[str]:
    """Return the cloud accounts to ask; the first is the one from which machines come by default."""
    chosen, client = default_account(teamspace), cloud_accounts_client()
    # A teamspace can create nothing on an account that it is not bound to, though the list of global ones has it.
    known = [str(account.cluster_id) for account in teamspace.cloud_account_objs]
    if not known and client is not None:
        known = [str(account.id) for account in client.list_global_cloud_accounts(teamspace_id=teamspace.id)]
    return [chosen, *(account for account in known if account != chosen)] if chosen else known


def _accelerators(teamspace: "Teamspace", account: str, client: Any) -> Iterator[Any]:
    from lightning_sdk import Organization

    owner = teamspace.owner
    yield from client.list_machines(
        teamspace.id, cloud_accounts=[account], org_id=owner.id if isinstance(owner, Organization) else None
    )


def _offer(accelerator: Any, account: str) -> MachineOffer | None:
    """Return the offer; None if nothing can name the machine in a request, or if it cannot be rented."""
    if accelerator.enabled is False or accelerator.cost is None:
        return None
    resources = accelerator.resources
    gpus = int(resources.gpu or 0)
    slugs = [accelerator.slug_multi_cloud, accelerator.slug, accelerator.instance_id, accelerator.secondary_instance_id]
    name = _name(slugs, accelerator.family, gpus or int(resources.cpu or 0))
    if name is None:
        return None
    kind = _kind(name, gpus) if name in machine_slugs() else str(accelerator.family or name)
    wait = accelerator.available_in_seconds
    return MachineOffer(
        name=name,
        hourly_cost=float(accelerator.cost),
        interruptible_hourly_cost=float(accelerator.spot_price) if accelerator.spot_price else None,
        cpus=int(resources.cpu or 0),
        memory_gb=float(resources.memory_mb or 0) / 1024,
        gpus=gpus,
        gpu_type=kind if gpus else "",
        gpu_memory_gb=_gpu_memory(kind, str(resources.gpu_type or "")) if gpus else 0.0,
        wait_seconds=float(wait) if wait not in (None, "") else None,
        # A machine that only a queue of reserved work has is none for a step.
        available=not accelerator.out_of_capacity and not getattr(accelerator, "dws_only", False),
        cloud_account=account,
        needs_plan=bool(getattr(accelerator, "is_tier_restricted", False)),
    )


def _gpu_memory(kind: str, listed: str) -> float:
    """Return the memory of each GPU: what its name in the list has, such as `nvidia-h100-80gb`, else the known one."""
    match = re.search(r"(\d+)gb", listed.lower())
    return float(match[1]) if match else float(_GPU_MEMORY_GB.get(kind, 0))


if __name__ == "__main__":
    from lightning_native.lightning.session import open_teamspace

    json.dump([asdict(offer) for offer in fetch_offers(open_teamspace())], sys.stdout)
