"""Commands in a studio: started, followed to their end, forgotten when there are many."""

import shutil
from pathlib import Path

from lightning_native.emulator.host import processes
from lightning_native.emulator.services import studios
from lightning_native.emulator.services.variables import ENTER_HOME, command_variables
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Command, Studio
from lightning_native.emulator.state.store import new_id

_LOST_EXIT_CODE = 137
_KEPT_COMMANDS = 100
# The command is a file, because arguments have a limited length; its exit code is another, so that a restarted
# server can read it.
_SHELL = f'{ENTER_HOME}; bash "$0"; printf %s "$?" > "$1"'


def _folder(cloud: Cloud, command: Command) -> Path:
    return cloud.root / "commands" / command.studio_id / command.id


async def execute(cloud: Cloud, studio: Studio, text: str) -> Command:
    """Start a command in a running studio."""
    instance = studios.require_running(studio)
    command = Command(new_id(), studio.id, instance["id"], cloud.clock.now())
    folder = _folder(cloud, command)
    folder.mkdir(parents=True)
    (folder / "command").write_text(text + "\n", encoding="utf-8", errors="surrogateescape")
    namespace = await studios.namespace_of(cloud, studio)
    process = processes.start(
        ["bash", "-c", _SHELL],
        folder=folder,
        directory=cloud.studio_home(studio),
        variables=command_variables(cloud, studio, namespace),
        output=folder / "output",
        namespace=namespace,
    )
    command.pid, command.process = process.pid, process.identity
    cloud.commands.save(command)
    studio.active_at = cloud.clock.now()
    cloud.start_task(follow(cloud, command, process))
    if fault := cloud.faults.take("studio-dies", machine=instance["machine"], name=studio.name):
        cloud.start_task(studios.interrupt(cloud, studio, instance["id"], fault.seconds))
    return command


async def follow(cloud: Cloud, command: Command, process: processes.Process) -> None:
    """Wait until the process of a command has ended, and record its exit code."""
    await process.wait()
    _finish(cloud, command)


def _finish(cloud: Cloud, command: Command) -> None:
    try:
        command.exit_code = int((_folder(cloud, command) / "exit_code").read_text())
    except (OSError, ValueError):
        # The shell that writes the code was ended together with the command.
        command.exit_code = _LOST_EXIT_CODE
    if cloud.commands.get(command.id) is not None:
        cloud.commands.save(command)
    _forget_old(cloud, command.studio_id)
    cloud.end_of(command.id).set()


def _forget_old(cloud: Cloud, studio_id: str) -> None:
    done = [item for item in cloud.commands if item.studio_id == studio_id and item.exit_code is not None]
    for command in done[:-_KEPT_COMMANDS]:
        forget(cloud, command)


def forget(cloud: Cloud, command: Command) -> None:
    """Delete a command with its output."""
    cloud.commands.delete(command.id)
    cloud.forget_end(command.id)
    shutil.rmtree(_folder(cloud, command), ignore_errors=True)


def output_of(cloud: Cloud, command: Command) -> tuple[str, bytes]:
    """Return the text of a command and its output so far, both streams."""
    folder = _folder(cloud, command)
    return _read(folder / "command").decode(errors="replace"), _read(folder / "output")


def _read(path: Path) -> bytes:
    # The user may have emptied the root.
    return path.read_bytes() if path.is_file() else b""
