"""The actions of a studio: the user's scripts that run at each start of the studio and before each stop."""

import asyncio
import contextlib
from pathlib import Path

from lightning_native.emulator.host import processes
from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.emulator.services.variables import command_variables
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Studio

ON_START = "on_start"
ON_STOP = "on_stop"
_FOLDER = ".lightning_studio"
# The machine's own shell writes the log, because code in the studio may have replaced the folder by a link.
_SHELL = f"cd && mkdir -p {_FOLDER}/logs && exec bash {_FOLDER}/$1.sh > {_FOLDER}/logs/$1.log 2>&1"
# A script that does not end must not keep a studio from stopping.
_PATIENCE_SECONDS = 10.0


def has(cloud: Cloud, studio: Studio, action: str) -> bool:
    """Whether a studio has a script for an action."""
    return (cloud.studio_home(studio) / _FOLDER / f"{action}.sh").is_file()


async def run(cloud: Cloud, studio: Studio, namespace: Namespace | None, action: str) -> None:
    """Run the script of an action to its end; its variables reach no other command."""
    process = processes.start(
        ["bash", "-c", _SHELL, "bash", action],
        directory=cloud.studio_home(studio),
        variables=command_variables(cloud, studio, namespace),
        output=Path("/dev/null"),
        namespace=namespace,
    )
    await process.wait()


async def run_briefly(cloud: Cloud, studio: Studio, namespace: Namespace | None, action: str) -> None:
    """Run the script of an action for a limited time."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(run(cloud, studio, namespace, action), _PATIENCE_SECONDS)
