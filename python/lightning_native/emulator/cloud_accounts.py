"""The cloud accounts of the local cloud, and the machines that each has.

An account is a cluster in the API. A profile without `accounts` has every machine in each of them. With it, machines,
waits and some prices differ as on the platform, where an account is fixed for a studio and for the jobs from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import MACHINES, MachineType, machine_type, slug_of, use_prices
from lightning_native.emulator.state.reported import ReportedMachine

DEFAULT_CLUSTER = "lightning-public-prod"
_GCP, _LAMBDA, _NEBIUS = "gcp-lightning-public-prod", "lightning-lambda-prod", "lightning-nebius-prod"
_VOLTAGE_PARK, _BARE_METAL = "lightning-voltagepark-prod", "lightning-baremetal"

# Cluster id → (provider of accelerators, key of the cluster's specification)
CLUSTERS = {
    DEFAULT_CLUSTER: ("AWS", "awsV1"),
    _GCP: ("GCP", "googleCloudV1"),
    _LAMBDA: ("LAMBDA_LABS", "lambdaLabsV1"),
    _NEBIUS: ("NEBIUS", "nebiusV1"),
    # The SDK knows no such provider, and shows none of its machines.
    _VOLTAGE_PARK: ("VOLTAGE_PARK", "voltageParkV1"),
    _BARE_METAL: ("MACHINE", "machineV1"),
}


@dataclass(frozen=True)
class Supply:
    """A machine in one account.

    Attributes:
        wait_seconds: the time until one is available; from ten thousand seconds on, none can be had.
        price: dollars an hour; None: that of the list.
        full: whether the list calls it out of capacity.
        needs_plan: whether accounts without a plan are refused it.
        queued: whether it is for work that waits in a queue alone.
    """

    wait_seconds: int = 60
    price: float | None = None
    full: bool = False
    needs_plan: bool = False
    queued: bool = False

    def hourly(self, machine: MachineType) -> float:
        """Return the price of a machine here, in dollars an hour."""
        return machine.price if self.price is None else self.price


_AS_LISTED = Supply()


def _each(supply: Supply, *prefixes: str) -> dict[str, Supply]:
    listed = [slug for slug, machine in MACHINES.items() if machine.listed]
    return {slug: supply for slug in listed if slug.startswith(prefixes)}


# An environment is set up on a CPU of the account on which it will be used.
_CPUS = _each(Supply(30), "cpu-")
_NEVER = 1_500_000
# A few values are from the vendor's notes about single machines; the rest, which machine is where among it, is invented
# in their manner, because no public list has it.
SUPPLIES: dict[str, dict[str, Supply]] = {
    DEFAULT_CLUSTER: {
        **_CPUS,
        **_each(Supply(60), "data-prep"),
        **_each(Supply(120), "lit-t4", "lit-l4-", "lit-l40s", "lit-rtx"),
        **_each(Supply(600, needs_plan=True), "lit-a100-40gb-8", "lit-a100-80gb-8"),
        "lit-h100-8": Supply(40_000, price=64.96, needs_plan=True),
        "lit-h200-8": Supply(90_000, price=71.0, needs_plan=True),
    },
    _GCP: {
        **_CPUS,
        **_each(Supply(300), "lit-a100-40gb-1", "lit-a100-80gb", "lit-tpu"),
        **_each(Supply(1800), "lit-h100-2", "lit-h100-4"),
        "lit-l4-1": Supply(180, price=0.94),
        "lit-h100-1": Supply(_NEVER),
        "lit-h200-8": Supply(_NEVER, price=47.16, queued=True),
        "lit-b200-8": Supply(_NEVER, queued=True),
    },
    _LAMBDA: {
        **_CPUS,
        "lit-h100-1": Supply(86_400, price=3.79),
        "lit-b200-8": Supply(600, price=51.0, full=True),
    },
    _NEBIUS: {**_CPUS, "lit-b200-1": Supply(300), "lit-b200-8": Supply(900), "lit-h200-1": Supply(400, price=5.1)},
    _VOLTAGE_PARK: {**_CPUS, "lit-h100-8": Supply(600, price=15.92, full=True)},
    _BARE_METAL: {**_CPUS, **_each(Supply(145), "lit-h100-1", "lit-h100-8", "lit-h200")},
}


def check_cluster(cluster: str) -> None:
    """Raise unless there is a cloud account of this id."""
    if cluster not in CLUSTERS:
        raise ApiError(400, f"clusterID {cluster} is invalid; the local cloud has {', '.join(CLUSTERS)}")


def machine_on(cluster: str, name: str, *, accounts: bool) -> MachineType:
    """Return a machine of a cloud account; 400 when the account has none, as far as accounts differ."""
    if not accounts:
        return machine_type(name)
    found = supplied(cluster, name)
    if found is None:
        raise ApiError(400, f"accelerator {name} not found for this {CLUSTERS[cluster][0]} cluster")
    return found


def supplied(cluster: str, name: str) -> MachineType | None:
    """Return the machine that an account gives for a name; None if it has none."""
    wanted = machine_type(name)
    here = SUPPLIES[cluster]
    if wanted.slug in here or wanted.listed or "gb-" in wanted.slug:
        return wanted if wanted.slug in here else None
    # `A100` is any A100 of that number.
    same = (MACHINES[slug] for slug in here)
    return next((each for each in same if (each.family, each.count) == (wanted.family, wanted.count)), None)


def hourly(cluster: str, slug: str, *, interruptible: bool, accounts: bool) -> float:
    """Return the price of a machine of a cloud account, in dollars an hour."""
    machine = MACHINES[slug]
    if interruptible and machine.spot_price:
        return machine.spot_price
    supply = SUPPLIES[cluster].get(slug, _AS_LISTED) if accounts else _AS_LISTED
    return supply.hourly(machine)


def use_list(machines: Sequence[ReportedMachine]) -> None:
    """Let this process's cloud accounts have what a reported list has of them; the others keep their machines.

    Machines and accounts that the local cloud does not know are left out.
    """
    known = [(slug, each) for each in machines if (slug := slug_of(each.slug)) and each.account in CLUSTERS]
    for account in dict.fromkeys(each.account for _, each in known):
        SUPPLIES[account] = {
            slug: Supply(round(each.wait), price=each.cost, full=each.full)
            for slug, each in known
            if each.account == account
        }
    for slug in dict.fromkeys(slug for slug, _ in known):
        # Of all accounts: what is not asked by account costs the least that was seen.
        cheapest = min((each for other, each in known if other == slug), key=lambda each: each.cost)
        use_prices(slug, cheapest.cost, cheapest.spot)
