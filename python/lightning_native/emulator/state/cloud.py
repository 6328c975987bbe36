"""One local cloud: its settings, its tables, its folders and its background tasks."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lightning_native.emulator.clock import Clock
from lightning_native.emulator.host import processes
from lightning_native.emulator.host.copies import discard, remove
from lightning_native.emulator.host.installed_sdk import reads_keep_alive_frequency
from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.emulator.host.namespaces import create as create_namespace
from lightning_native.emulator.host.python_environment import Environments
from lightning_native.emulator.state import records
from lightning_native.emulator.state.faults import FaultList
from lightning_native.emulator.state.root import DATABASE_FILE
from lightning_native.emulator.state.settings import Settings
from lightning_native.emulator.state.store import Database, StorageError, Table, new_id
from lightning_native.emulator.strict import network
from lightning_native.emulator.strict.environment import StrictEnvironments
from lightning_native.emulator.strict.machine import owner_of_files
from lightning_native.emulator.strict.machines import StrictMachines

logger = logging.getLogger("lightning_native.emulator")

S = TypeVar("S")
T = TypeVar("T")
USERNAME = "local-user"
TEAMSPACE = "local-teamspace"
ORGANIZATION = "local-org"
ORGANIZATION_TEAMSPACE = "org-teamspace"


class Cloud:
    """One local cloud, which is used from one event loop only."""

    def __init__(self, root: Path, settings: Settings, api_key: str) -> None:
        self.root = root
        self.settings = settings
        self.api_key = api_key
        self.url = ""
        self.closing = asyncio.Event()
        database = Database(root / DATABASE_FILE)
        self._database = database
        self.facts = Table(database, "fact", records.Fact)
        self.folders_in_work = Table(database, "folder_in_work", records.FolderInWork)
        self.users = Table(database, "user", records.User)
        self.organizations = Table(database, "organization", records.Organization)
        self.teamspaces = Table(database, "teamspace", records.Teamspace)
        self.studios = Table(database, "studio", records.Studio, forgets=True)
        self.commands = Table(database, "command", records.Command)
        self.jobs = Table(database, "job", records.Job, forgets=True)
        self.multi_machine_jobs = Table(database, "multi_machine_job", records.MultiMachineJob, forgets=True)
        self.tags = Table(database, "tag", records.Tag)
        self.pipelines = Table(database, "pipeline", records.Pipeline, forgets=True)
        self.schedules = Table(database, "schedule", records.Schedule)
        self.secrets = Table(database, "secret", records.Secret, forgets=True)
        self.documents = Table(database, "document", records.Document, forgets=True)
        seen = self.facts.get("clock")
        self.clock = Clock(settings.clock_rate)
        if seen is not None and seen.value > self.clock.now():
            # Simulated time never runs backwards, also if it was ahead of real time before a restart.
            self.clock = Clock(settings.clock_rate, seen.value)
        self._ends: dict[str, asyncio.Event] = {}
        self._services: dict[Callable[[Cloud], Any], Any] = {}
        self.strict: StrictMachines | None = None
        self.environments: Environments | StrictEnvironments = Environments()
        if settings.strict:
            self.environments = StrictEnvironments(
                settings.python, settings.preinstalled, index=settings.index, owner=owner_of_files()
            )
            self.strict = StrictMachines(root, self.environments, index=settings.index)
        self._namespaces: dict[str, Namespace] = {}
        self._namespace_locks: dict[str, asyncio.Lock] = {}
        self.faults = FaultList()
        # Reports of the SDK, newest last; never written to disk.
        self.history: deque[dict[str, Any]] = deque(maxlen=200)
        self._remover = ThreadPoolExecutor(1, "remover")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._create_accounts()

    def _create_accounts(self) -> None:
        if len(self.users):
            return
        now = self.clock.now()
        user = self.users.save(records.User(new_id(), USERNAME))
        organization = self.organizations.save(records.Organization(new_id(), ORGANIZATION))
        self.teamspaces.save(records.Teamspace(new_id(), TEAMSPACE, user.id, "user", now))
        self.teamspaces.save(records.Teamspace(new_id(), ORGANIZATION_TEAMSPACE, organization.id, "organization", now))

    @property
    def user(self) -> records.User:
        """The owner of the key."""
        return next(iter(self.users))

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables with which the SDK reaches this cloud."""
        environ = {
            "LIGHTNING_CLOUD_URL": self.url,
            "LIGHTNING_USER_ID": self.user.id,
            "LIGHTNING_API_KEY": self.api_key,
            "LIGHTNING_USERNAME": USERNAME,
            "LIGHTNING_TEAMSPACE": TEAMSPACE,
            # Otherwise the SDK asks the package index for a newer version whenever it is imported.
            "LIGHTNING_DISABLE_VERSION_CHECK": "1",
            # The Python of a machine whose version is not known yet.
            "LIGHTNING_NATIVE_MACHINE_PYTHON": self.environments.python,
        }
        if self.clock.rate != 1:
            # For those who calculate costs from times of their own clock.
            environ["LIGHTNING_NATIVE_CLOCK_RATE"] = f"{self.clock.rate:g}"
        if reads_keep_alive_frequency():
            # The SDK's stop() and delete() wait for the thread that sends these, which sleeps this long.
            environ["LIGHTNING_KEEPALIVE_FREQUENCY"] = "0.2"
        return environ

    def discard(self, folder: Path) -> None:
        """Move a folder to the trash, and remove it in the background because that takes long."""
        if not folder.parent.resolve().is_relative_to(self.root):
            # Code in a studio replaced it by a link.
            logger.error("%s is outside of the root and stays", folder)
        elif (target := discard(folder, self.root / "trash")) is not None:
            self._remover.submit(remove, target)

    def remove_discarded(self, folder: Path) -> None:
        """Remove a folder that an earlier server had moved to its trash."""
        self._remover.submit(remove, folder)

    @contextmanager
    def folder_in_work(self, key: str) -> Iterator[None]:
        """Record for the length of the block that the folders of a studio or job are being created or removed."""
        self.folders_in_work.save(records.FolderInWork(key))
        try:
            yield
        finally:
            self.folders_in_work.delete(key)

    def studio_folder(self, studio: records.Studio) -> Path:
        """Return the folder that holds all of a studio."""
        return self.root / "studios" / studio.id

    def studio_home(self, studio: records.Studio) -> Path:
        """Return the folder with a studio's files."""
        return self.studio_folder(studio) / "home"

    def studio_environment(self, studio: records.Studio) -> Path:
        """Return the folder with a studio's Python environment."""
        return self.studio_folder(studio) / "environment"

    def setting_up(self, studio: records.Studio) -> Path:
        """Return the file that is there while a studio runs and is not ready."""
        if self.strict is not None:
            return self.strict.setting_up(studio.marker)
        return self.root / "commands" / studio.id / "setting-up"

    def aliases(self, studio: records.Studio) -> Path:
        """Return the folder with the aliases of a studio that is not ready; a strict machine has its own."""
        return self.root / "commands" / studio.id / "aliases"

    async def namespace_of(
        self,
        marker: str,
        home: Path,
        drive: Path,
        *,
        environment: Path | None = None,
        mounts: Mapping[str, Path] | None = None,
        disks: Mapping[str, Path] | None = None,
        network: str = "",
        ports: Mapping[int, int] | None = None,
        read_only: Collection[str] = (),
        studios: Mapping[str, Path] | None = None,
    ) -> Namespace | None:
        """Return the namespace of a studio or job, created on first use; None where there are none.

        The first keyword arguments are for strict mode, see `StrictMachines.create`; `disks` and the last ones are for
        any.

        Raises:
            OSError: it cannot be created in strict mode.

        """
        if not self.settings.namespaces and self.strict is None:
            return None
        async with self._namespace_locks.setdefault(marker, asyncio.Lock()):
            if self.strict is not None:
                return await self.strict.create(
                    marker,
                    home=home,
                    drive=drive,
                    environment=environment,
                    mounts={**(mounts or {}), **(disks or {})},
                    network=network,
                    ports=ports,
                    read_only=read_only,
                    studios=studios,
                    owns_storage=not self.settings.profile.mount_seconds,
                )
            if marker not in self._namespaces:
                try:
                    trash = self.root / "trash"
                    trash.mkdir(exist_ok=True)
                    self._namespaces[marker] = await create_namespace(
                        home, drive, trash, read_only=read_only, studios=studios, disks=disks
                    )
                except OSError as error:
                    logger.warning("%s; code finds its files in ~ only", error)
                    self.settings.namespaces = False
            return self._namespaces.get(marker)

    async def end_processes(self, marker: str) -> None:
        """End all processes of a studio or job."""
        namespace = self.strict.get(marker) if self.strict else self._namespaces.get(marker)
        identity, keeper = (namespace.identity, namespace.keeper) if namespace else (None, 0)
        await asyncio.to_thread(processes.end, marker, identity, keeper=keeper)

    def forget_namespace(self, marker: str) -> None:
        """Release the namespace of a studio or job."""
        self._namespace_locks.pop(marker, None)
        if self.strict is not None and self.strict.forget(marker):
            self.discard(self.strict.folder(marker))
        if (namespace := self._namespaces.pop(marker, None)) is not None:
            namespace.close()

    def give(self, path: Path, top: Path) -> None:
        """Give a file or folder, and the folders above it up to `top`, to the user of code in machines."""
        if self.strict is not None and (owner := self.strict.owner) is not None:
            for given in (path, *path.parents):
                if given != top and not given.is_relative_to(top):
                    break
                os.chown(given, owner, owner, follow_symlinks=False)

    def address_in(self, namespace: Namespace | None) -> str:
        """Return the address of this cloud, as seen from a namespace."""
        if namespace is None or not namespace.has_network:
            return self.url
        return self.url.replace("127.0.0.1", network.HOST)

    def start_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in the background until it is done or the server ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def service(self, kind: "Callable[[Cloud], S]") -> S:
        """Return this cloud's one object of a kind, created on first use: the memory of a service."""
        if kind not in self._services:
            self._services[kind] = kind(self)
        found: S = self._services[kind]
        return found

    def end_of(self, key: str) -> asyncio.Event:
        """Return the event that is set when a command, job or pipeline has ended."""
        return self._ends.setdefault(key, asyncio.Event())

    def forget_end(self, key: str) -> None:
        """Forget the event of a deleted command or job."""
        self._ends.pop(key, None)

    async def start_and_wait(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        """Run a coroutine in the background and wait until it is done, at most so many real seconds."""
        await asyncio.wait([self.start_task(work)], timeout=seconds)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background task failed", exc_info=error)

    async def close(self) -> None:
        """End all background tasks and close the database."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.strict is not None:
            await self.strict.close()
        self.remember_time()
        self._database.close()
        # The next server removes the rest.
        self._remover.shutdown(wait=False, cancel_futures=True)

    def remember_time(self) -> None:
        """Record the simulated time for the next start."""
        try:
            self.facts.save(records.Fact("clock", self.clock.now()))
        except StorageError as error:
            logger.warning("%s", error)
