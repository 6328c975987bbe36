"""The cheapest of the machines that satisfy a request comes first, and no other machine is chosen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.planning.machine_choice import MachineOffer, ResourceRequest, cheapest
from lightning_native.errors import PlanError

prices = st.integers(1, 500).map(lambda cents: cents / 100)
kinds = st.sampled_from(["T4", "L4", "A100", "A100_40GB", "A100_80GB"])
counts = st.sampled_from([1, 2, 4, 8])


@st.composite
def offers(draw: st.DrawFn) -> list[MachineOffer]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        gpu = draw(st.booleans())
        found.append(
            MachineOffer(
                name=f"M{number}",
                hourly_cost=draw(prices),
                interruptible_hourly_cost=draw(st.none() | prices),
                cpus=draw(st.integers(1, 64)),
                memory_gb=float(draw(st.integers(1, 512))),
                gpus=draw(counts) if gpu else 0,
                gpu_type=draw(kinds) if gpu else "",
                gpu_memory_gb=draw(st.sampled_from([16.0, 24.0, 80.0])) if gpu else 0.0,
                available=draw(st.booleans()),
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
    gpu_good = offer.gpus >= gpus and same_kind and offer.gpu_memory_gb >= (request.gpu_memory_gb or 0)
    return (
        (gpu_good if wants_gpu else not (request.gpus == 0 and offer.gpus))
        and offer.cpus >= (request.cpus or 0)
        and offer.memory_gb >= (request.memory_gb or 0)
    )


@given(requests(), offers())
def test_the_machines_chosen_are_those_that_satisfy_the_request_cheapest_first(
    request: ResourceRequest, known: list[MachineOffer]
) -> None:
    good = {offer.name: offer for offer in known if satisfies(request, offer)}
    if not good:
        with pytest.raises(PlanError, match="no machine has"):
            cheapest(request, known)
        return
    chosen = cheapest(request, known)
    assert sorted(chosen) == sorted(good)
    order = [(not good[name].available, good[name].hourly_cost) for name in chosen]
    assert order == sorted(order)


@given(requests(), offers())
def test_an_interruptible_request_goes_by_the_interruptible_price(
    request: ResourceRequest, known: list[MachineOffer]
) -> None:
    by_name = {offer.name: offer for offer in known}
    good = [offer for offer in known if satisfies(request, offer)]
    if not good:
        return
    chosen = [by_name[name] for name in cheapest(request, known, interruptible=True)]
    if any(offer.interruptible_hourly_cost is not None for offer in good):
        assert all(offer.interruptible_hourly_cost is not None for offer in chosen)
    order = [(not offer.available, offer.cost(interruptible=True)) for offer in chosen]
    assert order == sorted(order)


@given(requests(), offers())
def test_a_request_that_asks_for_less_never_costs_more(request: ResourceRequest, known: list[MachineOffer]) -> None:
    less = ResourceRequest(request.gpus, request.gpu_type, 1, None, request.gpu_memory_gb)
    if any(satisfies(request, offer) for offer in known):
        price = {offer.name: (not offer.available, offer.hourly_cost) for offer in known}
        assert price[cheapest(less, known)[0]] <= price[cheapest(request, known)[0]]
