"""The price list comes through the unmodified SDK."""

from typing import Any

from lightning_native.emulator.catalog import MACHINES
from lightning_native.emulator.cloud_accounts import CLUSTERS
from lightning_native.engine.planning.machine_choice import ResourceRequest, cheapest
from lightning_native.lightning.machines import machine_slug
from lightning_native.lightning.offers import fetch_offers
from lightning_native.lightning.session import open_teamspace

# The SDK shows no machines of a provider that it does not know.
_SHOWN = [cluster for cluster, (provider, _) in CLUSTERS.items() if provider != "VOLTAGE_PARK"]


def test_every_machine_of_the_list_is_an_offer_of_each_account(sdk: Any) -> None:
    assert sdk
    offers = fetch_offers(open_teamspace())
    listed = {machine.slug for machine in MACHINES.values() if machine.listed}
    assert {(machine_slug(offer.name), offer.cloud_account) for offer in offers} == {
        (slug, cluster) for slug in listed for cluster in _SHOWN
    }
    for offer in offers:
        machine = MACHINES[machine_slug(offer.name)]
        assert (offer.hourly_cost, offer.interruptible_hourly_cost or 0.0) == (machine.price, machine.spot_price)
        assert (offer.cpus, offer.memory_gb) == (machine.cpus, machine.memory_gb)
        assert offer.gpus == (machine.count if machine.is_gpu else 0)
        assert bool(offer.gpu_type) == machine.is_gpu
        assert bool(offer.gpu_memory_gb) == (machine.is_gpu and machine.family != "TPU")
        assert offer.obtainable


def test_names_that_the_sdk_lacks_are_no_loss(sdk: Any) -> None:
    assert sdk
    offers = {offer.name: offer for offer in fetch_offers(open_teamspace())}
    # The list calls it `lit-h100-80gb-1`.
    assert (offers["H100"].hourly_cost, offers["H100"].gpu_memory_gb) == (5.68, 80)
    assert (offers["H200_X_8"].hourly_cost, offers["RTXP_6000"].gpu_type) == (36.0, "RTXP_6000")
    # A machine that the SDK has no name for is offered under its slug, to those who name it.
    assert (offers["lit-tpu-v6e-4"].gpus, offers["lit-tpu-v6e-4"].gpu_type) == (4, "TPU")
    assert "lit-tpu-v6e-1" not in cheapest(ResourceRequest(gpus=1), offers.values())
    # What the list lacks is no offer, although the SDK has a name.
    assert not {"T4_X_2", "L40S_X_2"} & set(offers)


def test_requests_are_resolved_from_the_live_list(sdk: Any) -> None:
    assert sdk
    offers = fetch_offers(open_teamspace())
    assert cheapest(ResourceRequest(gpus=2, gpu_type="l40s"), offers) == ["L40S_X_4", "L40S_X_8"]
    assert cheapest(ResourceRequest(cpus=4, gpus=0), offers)[0] == "CPU"
    assert cheapest(ResourceRequest(gpu_type="A100", gpu_memory_gb=80), offers)[0] == "A100_80GB"
    assert cheapest(ResourceRequest(gpu_type="RTX 6000 Pro"), offers)[0] == "RTXP_6000"
    assert cheapest(ResourceRequest(gpu_type="H100"), offers)[0] == "H100"
    # An H200 costs less than an H100.
    assert cheapest(ResourceRequest(gpu_memory_gb=80), offers)[0] == "H200"
    # As an interruptible machine, a small T4 is dearer than a T4.
    assert cheapest(ResourceRequest(gpu_type="T4"), offers)[0] == "T4_SMALL"
    assert cheapest(ResourceRequest(gpu_type="T4"), offers, interruptible=True)[0] == "T4"
