"""The cheapest of the machines that satisfy a request comes first, and no other machine is chosen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.planning.machine_choice import MachineOffer, ResourceRequest, cheapest
from lightning_native.errors import PlanError

prices = st.integers(1, 500).map(lambda cents: cents / 100)
kinds = st.sampled_from(["T4", "L4", "A100", "A100_40GB", "A100_80GB"])
counts = st.sampled_from([1, 2, 4, 8])
accounts = st.sampled_from(["here", "there"])


@st.composite
def offers(draw: st.DrawFn) -> list[MachineOffer]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        gpu = draw(st.booleans())
        found.append(
            MachineOffer(
                # Several accounts may offer one machine.
                name=f"M{number // 2}",
                hourly_cost=draw(prices),
                interruptible_hourly_cost=draw(st.none() | prices),
                cpus=draw(st.integers(1, 64)),
                memory_gb=float(draw(st.integers(1, 512))),
                gpus=draw(counts) if gpu else 0,
                gpu_type=draw(kinds) if gpu else "",
                gpu_memory_gb=draw(st.sampled_from([0.0, 16.0, 24.0, 80.0])) if gpu else 0.0,
                wait_seconds=draw(st.none() | st.sampled_from([60.0, 5_000.0, 20_000.0, 1.5e6])),
                available=draw(st.booleans()),
                cloud_account=draw(accounts),
            )
        )
    return found


@st.composite
def requests(draw: st.DrawFn) -> ResourceRequest:
    gpu = draw(st.booleans())
    return ResourceRequest(
        gpus=draw(st.none() | counts) if gpu else draw(st.none() | st.just(0)),
        gpu_type=draw(st.none() | kinds) if gpu else None,
        gpu_memory_gb=draw(st.none() | st.sampled_from([16.0, 24.0, 80.0])) if gpu else None,
        cpus=draw(st.integers(1, 64)),
        memory_gb=draw(st.none() | st.integers(1, 512).map(float)),
    )


def satisfies(request: ResourceRequest, offer: MachineOffer) -> bool:
    """Return whether a machine is one that the user means, by rules written a second time."""
    wants_gpu = request.gpus not in (None, 0) or request.gpu_type is not None or request.gpu_memory_gb is not None
    gpus = request.gpus or 1
    same_kind = request.gpu_type in (None, offer.gpu_type) or (
        request.gpu_type == "A100" and offer.gpu_type.startswith("A100_")
    )
    # What has no known memory may be no GPU, and must be asked for by its name.
    known = bool(request.gpu_type or offer.gpu_memory_gb)
    gpu_good = known and offer.gpus >= gpus and same_kind and offer.gpu_memory_gb >= (request.gpu_memory_gb or 0)
    return (
        (gpu_good if wants_gpu else not (request.gpus == 0 and offer.gpus))
        and offer.cpus >= (request.cpus or 0)
        and offer.memory_gb >= (request.memory_gb or 0)
    )


def best(known: list[MachineOffer], *, interruptible: bool = False) -> dict[str, tuple[bool, float]]:
    """Return for each machine whether it cannot be had, and what it costs, in the account that is best for both."""
    ranks: dict[str, tuple[bool, float]] = {}
    for offer in known:
        spot = offer.interruptible_hourly_cost
        cost = min(offer.hourly_cost, spot) if interruptible and spot is not None else offer.hourly_cost
        rank = (not offer.available or (offer.wait_seconds or 0) > 10_000, cost)
        ranks[offer.name] = min(rank, ranks.get(offer.name, rank))
    return ranks


@given(requests(), offers(), st.booleans())
def test_the_machines_chosen_are_those_that_satisfy_the_request_cheapest_first(
    request: ResourceRequest, known: list[MachineOffer], interruptible: bool
) -> None:
    ranks = best([offer for offer in known if satisfies(request, offer)], interruptible=interruptible)
    if not ranks:
        with pytest.raises(PlanError, match="no machine has"):
            cheapest(request, known, interruptible=interruptible)
        return
    chosen = cheapest(request, known, interruptible=interruptible)
    assert sorted(chosen) == sorted(ranks)
    order = [ranks[name] for name in chosen]
    assert order == sorted(order)


@given(requests(), offers())
def test_in_one_account_only_its_own_machines_count(request: ResourceRequest, known: list[MachineOffer]) -> None:
    here = [offer for offer in known if offer.cloud_account == "here"]
    try:
        chosen = cheapest(request, known, cloud_account="here")
    except PlanError:
        assert not any(satisfies(request, offer) for offer in here)
    else:
        assert chosen == cheapest(request, here)


@given(requests(), offers())
def test_a_request_that_asks_for_less_never_costs_more(request: ResourceRequest, known: list[MachineOffer]) -> None:
    less = ResourceRequest(request.gpus, request.gpu_type, 1, None, request.gpu_memory_gb)
    if any(satisfies(request, offer) for offer in known):
        of_less = best([offer for offer in known if satisfies(less, offer)])
        of_all = best([offer for offer in known if satisfies(request, offer)])
        assert of_less[cheapest(less, known)[0]] <= of_all[cheapest(request, known)[0]]
