"""What happens to studios when the server starts and when it ends."""

import asyncio
import contextlib

from lightning_native.emulator import commands, processes, studios
from lightning_native.emulator.cloud import Cloud
from lightning_native.emulator.records import Command

_TICK_SECONDS = 5.0
_FOUND_POLL_SECONDS = 0.1


async def recover(cloud: Cloud) -> None:
    """Take up what an earlier server left: find running processes again, finish what has ended."""
    for command in cloud.commands:
        if command.exit_code is None:
            cloud.start_task(_follow(cloud, command))
    for studio in cloud.studios:
        studio.requested = None
        if studio.instance is None:
            continue
        if studio.instance["phase"] == studios.STOPPING:
            cloud.start_task(studios.stop(cloud, studio))
        elif studio.instance["phase"] == studios.PENDING:
            cloud.start_task(studios.boot(cloud, studio, studio.instance))
    cloud.start_task(_tick(cloud))


async def _follow(cloud: Cloud, command: Command) -> None:
    while command.pid and processes.start_time(command.pid) == command.process:
        await asyncio.sleep(_FOUND_POLL_SECONDS)
    commands.finish(cloud, command)


async def _tick(cloud: Cloud) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        cloud.remember_time()


async def shut_down(cloud: Cloud) -> None:
    """Stop every studio, so that nothing of this cloud is left running."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(studios.stop(cloud, studio) for studio in cloud.studios))
