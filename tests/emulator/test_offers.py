"""The price list comes through the unmodified SDK."""

from typing import Any

from lightning_native.emulator.catalog import MACHINES
from lightning_native.engine.planning.machine_choice import ResourceRequest, cheapest
from lightning_native.lightning.machines import machine_slugs
from lightning_native.lightning.offers import fetch_offers
from lightning_native.lightning.session import open_teamspace


def test_every_machine_of_the_sdk_has_a_price_and_what_it_has(sdk: Any) -> None:
    assert sdk
    offers = {offer.name: offer for offer in fetch_offers(open_teamspace())}
    slugs = machine_slugs()
    assert {slugs[name] for name in offers} == set(slugs.values())
    for name, offer in offers.items():
        machine = MACHINES[slugs[name]]
        assert (offer.hourly_cost, offer.cost(interruptible=True)) == (
            machine.price,
            machine.hourly(interruptible=True),
        )
        assert (offer.cpus, offer.memory_gb) == (machine.cpus, machine.memory_gb)
        assert offer.gpus == (machine.count if machine.is_gpu else 0)
        assert bool(offer.gpu_type) == bool(offer.gpu_memory_gb) == machine.is_gpu
        assert offer.available


def test_requests_are_resolved_from_the_live_list(sdk: Any) -> None:
    assert sdk
    offers = fetch_offers(open_teamspace())
    assert cheapest(ResourceRequest(gpus=2, gpu_type="l40s"), offers) == ["L40S_X_2", "L40S_X_4", "L40S_X_8"]
    assert cheapest(ResourceRequest(cpus=4, gpus=0), offers)[0] == "CPU"
    assert cheapest(ResourceRequest(gpu_type="A100", gpu_memory_gb=80), offers)[0] == "A100_80GB"
    assert cheapest(ResourceRequest(gpu_type="RTX 6000 Pro"), offers)[0] == "RTXP_6000"
