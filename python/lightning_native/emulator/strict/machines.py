"""The strict machines of one local cloud: created for studios and jobs, found again, ended."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from lightning_native.emulator.strict import file_system, network
from lightning_native.emulator.strict.environment import StrictEnvironments
from lightning_native.emulator.strict.file_system import Places
from lightning_native.emulator.strict.machine import (
    Machine,
    adopt,
    create,
    end,
    files_of_the_index,
    owner_of_files,
    wait_for_end,
)
from lightning_native.errors import EmulatorError

logger = logging.getLogger("lightning_native.emulator")

_FOLDER = "machines"
_TRIAL = "trial"


class StrictMachines:
    """All machines of a cloud, by the marker of their studio or job.

    Attributes:
        environments: their Python environments.
        owner: the owner of their files; None for the user of the server.
        has_network: whether each has a network of its own.

    """

    def __init__(self, root: Path, environments: StrictEnvironments, *, index: bool) -> None:
        self.environments = environments
        self.owner = owner_of_files()
        self._root = root
        self._index = index
        self.has_network = network.is_possible()
        self._machines: dict[str, Machine] = {}
        self._connections: list[asyncio.subprocess.Process] = []
        # Open files that stand for the first processes of ended machines.
        self._ended: list[int] = []
        self._joining: dict[str, asyncio.Lock] = {}

    def folder(self, marker: str) -> Path:
        """Return the folder of a machine's own files."""
        return self._root / _FOLDER / marker

    def setting_up(self, marker: str) -> Path:
        """Return the file that is there while the studio of a machine is not ready."""
        return self.folder(marker) / "status" / Path(file_system.SETTING_UP).name

    async def check(self) -> None:
        """Create a machine as a trial, and end it.

        Raises:
            EmulatorError: this computer cannot have any, or none without a package index.

        """
        if not self.has_network:
            self._go_without_network(network.MISSING)
        while True:
            folder = self.folder(_TRIAL)
            try:
                for name in ("home", "drive"):
                    folder.joinpath(name).mkdir(parents=True, exist_ok=True)
                machine = await self.create(_TRIAL, home=folder / "home", drive=folder / "drive")
                await machine.check()
                return
            except OSError as error:
                if not (self.has_network and "slirp4netns" in str(error)):
                    raise EmulatorError(
                        f"machines cannot be made strict on this computer: {error}. It takes root, or a kernel that "
                        "lets ordinary users have namespaces; start without --strict"
                    ) from error
                self._go_without_network(str(error))
            finally:
                self.forget(_TRIAL)
                shutil.rmtree(folder, ignore_errors=True)

    def _go_without_network(self, reason: str) -> None:
        if not self._index:
            raise EmulatorError(f"machines cannot be kept from the package index: {reason}; start without --no-index")
        logger.warning("%s: machines share the network of this computer, and reach what listens at 127.0.0.1", reason)
        self.has_network = False

    async def create(
        self,
        marker: str,
        *,
        home: Path,
        drive: Path,
        environment: Path | None = None,
        mounts: Mapping[str, Path] | None = None,
        network: str = "",
        ports: Mapping[int, int] | None = None,
        read_only: Collection[str] = (),
        studios: Mapping[str, Path] | None = None,
        owns_storage: bool = True,
    ) -> Machine:
        """Return the machine of a studio or job, created on first use.

        Args:
            marker: the marker.
            home: the folder with its files.
            drive: the folder with the files of its teamspace's drive.
            environment: the folder of its Python environment; None for a container.
            mounts: further folders, by their path in the machine.
            network: the name of a network that it shares with others.
            ports: ports of this computer that are forwarded to it, by the ports of the machine.
            read_only: folders of the drive that nobody can write to.
            studios: the files of other studios, by their folders' names on the drive.
            owns_storage: whether code may create folders beside the connections of `lightning_storage`.

        Raises:
            OSError: it cannot be created.

        """
        machine = self._machines.get(marker)
        if machine is not None and machine.is_alive:
            return machine
        self.forget(marker)
        python = self.environments.interpreter_of(environment) if environment else None
        places = Places(
            home=home,
            drive=drive,
            scratch=self.folder(marker),
            environment=environment,
            version=python.minor if python else "",
            # Without an index there is no cache, because a cache would replace the index.
            caches=self._root / "cache" if self._index else None,
            visible={
                **(python.visible if python else {}),
                **(files_of_the_index() if self._index else {}),
            },
            mounts=mounts or {},
            read_only=read_only,
            studios=studios or {},
            owns_storage=owns_storage,
        )
        places.scratch.mkdir(parents=True, exist_ok=True)
        network = (network or marker) if self.has_network else ""
        async with self._joining.setdefault(network, asyncio.Lock()):
            peer = next((item for item in self._machines.values() if network and item.shares(network)), None)
            machine = await create(places, network=network, index=self._index, peer=peer)
            self._machines[marker] = machine
        if machine.connection is not None:
            self._connections = [item for item in self._connections if item.returncode is None]
            self._connections.append(machine.connection)
        for port, host_port in ports.items() if ports and machine.has_network else ():
            try:
                await machine.forward(port, host_port)
            except OSError as error:
                logger.warning("port %d is not reached at %d any more: %s", port, host_port, error)
        return machine

    def get(self, marker: str) -> Machine | None:
        """Return the machine of a studio or job, if it has one."""
        return self._machines.get(marker)

    def adopt(self, markers: Collection[str], discard: Callable[[Path], None]) -> None:
        """Adopt the machines of an earlier server, and end those whose studio or job is gone."""
        folders = self._root / _FOLDER
        for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
            machine = adopt(folder) if folder.name in markers else None
            if machine is not None:
                self._machines[folder.name] = machine
            else:
                self._note(end(folder))
                discard(folder)

    def forget(self, marker: str) -> bool:
        """End the machine of a studio or job; return whether there was one."""
        machine = self._machines.pop(marker, None)
        if machine is None:
            return False
        self._note(machine.end())
        self._joining.pop(machine.record.network, None)
        return True

    def _note(self, keeper: int | None) -> None:
        if keeper is not None:
            self._ended.append(keeper)

    async def wait_for_ended(self) -> None:
        """Wait until all processes of ended machines are gone."""
        ended, self._ended = self._ended, []
        await asyncio.to_thread(wait_for_end, ended)

    async def close(self) -> None:
        """End all machines, and wait until their networks are gone."""
        for marker in list(self._machines):
            self.forget(marker)
        await self.wait_for_ended()
        await network.wait_for_end(self._connections)
