"""The choice of the cloud account on which a step's machine is asked for.

Machines, prices and waits belong to accounts. A studio stays on its account for ever, and its jobs run there. So a step
whose machine another account offers best starts from a studio of that account.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.errors import LightningNativeError
from lightning_native.lightning.cloud import Cloud
from lightning_native.lightning.machines import canonical_machine, machine_slug
from lightning_native.lightning.offers import MachineOffer, best_offer

Value = TypeVar("Value")


def step_machines(plan: RunPlan, step: StepPlan) -> tuple[str, ...]:
    """Return the names of the machines that a step may run on, in the order in which they are tried."""
    return tuple(map(canonical_machine, step.machines or (plan.main_machine or DEFAULT_MACHINE,)))


class AccountChoice:
    """The accounts of the machines of one run or job: the one that it names, else those with the best offers."""

    def __init__(self, named: str | None, cloud: Cloud) -> None:
        self._named = named
        self._cloud = cloud

    def of(self, machines: Sequence[str], machine: str, *, interruptible: bool = False) -> str | None:
        """Return the account for one of the machines of a step or studio; None: Lightning's own choice.

        A machine to fall back to is on the account of the first one if that has it, because a prepared studio is there.
        """
        if self._named or not machines or all(map(_is_everywhere, machines)):
            return self._named
        default = _known(lambda: self._cloud.default_cloud_account, None)
        first = self._best(machines[0], default, interruptible=interruptible)
        best = first
        if first is None or machine != machines[0]:
            best = self._best(machine, default, interruptible=interruptible)
            if first is not None and self._has(machine, first.cloud_account):
                best = first
        chosen = best.cloud_account if best is not None else None
        # Without a name, so that a studio that is prepared there already is found.
        return chosen if chosen and chosen != default else None

    def offer(self, machine: str, cloud_account: str | None, *, interruptible: bool) -> MachineOffer | None:
        """Return the offer of a machine on an account; None if the price list has none."""
        account = cloud_account or _known(lambda: self._cloud.default_cloud_account, None)
        return best_offer(self._offers(), machine, interruptible=interruptible, cloud_account=account)

    def _best(self, machine: str, default: str | None, *, interruptible: bool) -> MachineOffer | None:
        return best_offer(self._offers(), machine, interruptible=interruptible, default=default)

    def _has(self, machine: str, account: str) -> bool:
        found = best_offer(self._offers(), machine, cloud_account=account)
        return found is not None and found.obtainable

    def _offers(self) -> Sequence[MachineOffer]:
        # Without a price list, Lightning chooses.
        return _known(self._cloud.offers, ())


def _is_everywhere(machine: str) -> bool:
    """Return whether every account has a machine, at much the same price: a small one without GPUs."""
    return machine_slug(machine).startswith("cpu-")


def _known(read: Callable[[], Value], otherwise: Value) -> Value:
    try:
        return read()
    except LightningNativeError:
        return otherwise
