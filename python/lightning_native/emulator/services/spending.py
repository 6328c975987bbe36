"""The spending of the account: what all work has cost, and the end of all work when nothing is left."""

import asyncio

from lightning_native.emulator.services import studios
from lightning_native.emulator.services.jobs import billing, multi_machine
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.states import is_final
from lightning_native.emulator.services.money import OUT_OF_FUNDS, Money, kept_cost
from lightning_native.emulator.state.cloud import Cloud, logger

# Real seconds between two looks.
_LOOK_SECONDS = 0.1


def look(cloud: Cloud) -> Money:
    """Return the account's money as of now."""
    money = cloud.service(Money)
    money.spent = (
        kept_cost(cloud)
        + sum(studios.cost(cloud, studio) for studio in cloud.studios)
        + sum(billing.cost(cloud, job) for job in cloud.jobs)
    )
    return money


async def watch(cloud: Cloud) -> None:
    """Stop all work whenever no money is left."""
    money = cloud.service(Money)
    while True:
        if money.is_limited and look(cloud).is_spent:
            await _stop_everything(cloud)
        await asyncio.sleep(_LOOK_SECONDS)


async def _stop_everything(cloud: Cloud) -> None:
    several = [item for item in cloud.multi_machine_jobs if not item.has_ended]
    jobs = [job for job in cloud.jobs if not is_final(job.state) and not job.multi_machine_id]
    running = [studio for studio in cloud.studios if studio.instance is not None]
    if several or jobs or running:
        logger.warning("the account is out of funds: %d jobs and %d studios are stopped", len(jobs), len(running))
    for studio in running:
        studio.message = OUT_OF_FUNDS
    await asyncio.gather(
        *(multi_machine.stop(cloud, item, message=OUT_OF_FUNDS) for item in several),
        *(runner_of(cloud, job).run_out_of_funds(OUT_OF_FUNDS) for job in jobs),
        *(studios.stop(cloud, studio) for studio in running),
    )
