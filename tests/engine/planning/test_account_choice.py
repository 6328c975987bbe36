"""The account of a step's machine is one that offers it, and no other offers it better."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.account_choice import AccountChoice
from lightning_native.errors import CloudError
from lightning_native.lightning.memory.cloud import MemoryCloud
from lightning_native.lightning.offers import MachineOffer, best_offer

PLAN = RunPlan("run", "plan", (StepPlan("a", ("true",)),))
machines = st.sampled_from(["T4", "L4", "A100", "A100_40GB", "A100_80GB", "H100"])


class Cloud(MemoryCloud):
    """A cloud with a price list, whose default account is `home`."""

    default_cloud_account = "home"  # type: ignore[assignment]

    def __init__(self, known: Sequence[MachineOffer] | None) -> None:
        super().__init__()
        self._known = known

    def offers(self) -> list[MachineOffer]:
        if self._known is None:
            raise CloudError("cannot read the price list")
        return list(self._known)


def choice(*known: MachineOffer, account: str | None = None) -> AccountChoice:
    return AccountChoice(account, Cloud(known))


def offer(machine: str, account: str, cost: float = 1.0, wait: float = 60.0, spot: float | None = None) -> MachineOffer:
    return MachineOffer(machine, cost, spot, wait_seconds=wait, cloud_account=account)


@st.composite
def offers(draw: st.DrawFn) -> list[MachineOffer]:
    return [
        MachineOffer(
            name=draw(machines.filter(lambda name: name != "A100")),
            hourly_cost=draw(st.sampled_from([1.0, 2.0, 3.0])),
            interruptible_hourly_cost=draw(st.none() | st.sampled_from([0.5, 1.5, 4.0])),
            wait_seconds=draw(st.none() | st.sampled_from([60.0, 20_000.0])),
            available=draw(st.booleans()),
            cloud_account=draw(st.sampled_from(["home", "b", "c"])),
        )
        for _ in range(draw(st.integers(0, 10)))
    ]


@given(offers(), machines, st.booleans())
def test_no_account_offers_the_machine_better(known: list[MachineOffer], machine: str, interruptible: bool) -> None:
    named = {"A100": {"A100_40GB", "A100_80GB"}}.get(machine, {machine})
    fitting = [each for each in known if each.name in named]

    def rank(each: MachineOffer) -> tuple[bool, float]:
        spot = each.interruptible_hourly_cost
        cost = min(each.hourly_cost, spot) if interruptible and spot else each.hourly_cost
        return not each.available or (each.wait_seconds or 0) > 10_000, cost

    chosen = choice(*known).of([machine], machine, interruptible=interruptible)
    if not fitting:
        assert chosen is None
        return
    best = min(map(rank, fitting))
    accounts = {each.cloud_account for each in fitting if rank(each) == best}
    # Lightning's own choice is the default account.
    assert (chosen or "home") in accounts
    assert chosen is None or "home" not in accounts


def test_a_machine_to_fall_back_to_stays_on_the_account_of_the_first_one() -> None:
    known = (offer("H100", "b"), offer("L4", "home", 1.0), offer("L4", "b", 2.0), offer("T4", "c"))
    wanted = ["H100", "L4", "T4"]
    assert [choice(*known).of(wanted, machine) for machine in wanted] == ["b", "b", "c"]
    # There, the machine takes hours.
    known = (offer("H100", "b"), offer("L4", "home", 1.0), offer("L4", "b", 2.0, wait=20_000.0))
    assert [choice(*known).of(wanted[:2], machine) for machine in wanted[:2]] == ["b", None]
    # The first machine is offered nowhere.
    assert choice(offer("L4", "c")).of(["H100", "L4"], "L4") == "c"


def test_an_account_that_the_plan_names_is_the_only_one() -> None:
    known = (offer("L4", "b", 1.0, spot=0.5), offer("L4", "c", 2.0, spot=3.0))
    chosen = choice(*known, account="c")
    assert chosen.of(["L4"], "L4") == chosen.of(["CPU"], "CPU") == chosen.of([], "CPU") == "c"
    found = chosen.offer("L4", "c", interruptible=True)
    assert found is not None
    assert (found.cloud_account, found.cost(interruptible=True)) == ("c", 2.0)


def test_small_cpu_machines_and_unreadable_lists_are_left_to_lightning() -> None:
    assert choice(offer("CPU", "b")).of(["CPU", "CPU_X_8"], "CPU") is None
    # Large ones are not in every account.
    assert choice(offer("DATA_PREP", "b")).of(["DATA_PREP"], "DATA_PREP") == "b"
    assert AccountChoice(None, Cloud(None)).of(["L4"], "L4") is None
    assert choice().offer("L4", None, interruptible=True) is None


@pytest.mark.parametrize("wait", [None, 0.0, 9_999.0])
def test_a_wait_of_hours_counts_as_none_to_be_had(wait: float | None) -> None:
    soon, late = MachineOffer("L4", 9.0, wait_seconds=wait, cloud_account="b"), offer("L4", "c", 0.1, wait=10_000.0)
    assert best_offer([late, soon], "L4") == soon
    assert best_offer([late], "L4") == late
