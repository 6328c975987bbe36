"""The outputs of one step: what its agent is to pack, and what it has packed, fetched into the run's folder."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning_native import agent, extract_archive
from lightning_native.agent_protocol import ARCHIVE_SUFFIX, Outcome
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.store import ArtifactStore, DriveStore, OutputStore
from lightning_native.engine.packed import file_sha256
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.record.output_folder import OutputFolder
from lightning_native.engine.retry import best_effort
from lightning_native.errors import ArchiveError, CloudError, LightningNativeError, StaleControllerError
from lightning_native.lightning.cloud import JobHandle

# The bounds of the outputs of one attempt. The oldest files beyond them are left out, and named.
MOST_BYTES = 50 << 30
MOST_FILES = 100_000
# The headers of an archive's entries, at most two blocks and a long name each.
_MOST_HEADER_BYTES = 8192
# The weakest compression of files of zeros is about 1030; the bound of the bytes is the one that counts.
_MOST_RATIO = 2000
_LONGEST_RECORD = 1 << 20
# The longest that a record that is known to be there is waited for: files on a mounted drive appear late.
_ARRIVAL_SECONDS = 120.0
# … and artifacts later still.
_ARTIFACT_SECONDS = 600.0
# … and what the last moments of a machine have left.
_AFTERMATH_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_SEED = f"1{ARCHIVE_SUFFIX}"
_NAMED = 3


@dataclass(frozen=True)
class _Record:
    """A record of a store, as `agent.Outputs` writes it."""

    attempt: int
    files: int
    archive: int
    sha256: str
    is_final: bool
    left_out: tuple[tuple[str, str], ...]
    left_out_count: int

    @classmethod
    def read(cls, path: Path) -> "_Record":
        """Read a record, which code on a machine may have changed.

        Raises:
            ValueError: it is none.
        """
        try:
            if path.stat().st_size > _LONGEST_RECORD:
                raise ValueError(f"{path.name} is too long")
            values = json.loads(path.read_text())
            numbers = [values.get(name, 0) for name in ("attempt", "files", "archive", "left_out_count")]
            attempt, files, archive, count = (number for number in numbers if type(number) is int and number >= 0)
            left_out = tuple((str(name), str(reason)) for name, reason in values.get("left_out", ()))
            sha256, is_final = str(values.get("sha256", "")), values.get("final") is True
            return cls(attempt, files, archive, sha256, is_final, left_out, count)
        except (RecursionError, AttributeError, TypeError) as error:
            raise ValueError(f"{path.name} is no record: {error}") from error


class StepOutputs:
    """The outputs of one step of a run. Without patterns, every method does nothing.

    No method fails a step: what cannot be fetched becomes an event.
    """

    def __init__(self, context: RunContext, step: StepPlan, store: OutputStore) -> None:
        self._context = context
        self._step = step
        self._store = store
        self._folder = OutputFolder(context.folder.path, step.name)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_open = False
        self._watching: threading.Thread | None = None
        self._told: set[str] = set()
        # The archives in the run's folder, by their attempts.
        self._fetched: dict[int, str] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether the step has outputs."""
        return bool(self._step.outputs)

    def wish(self, attempt: int | None = None) -> Mapping[str, Any] | None:
        """Return the part of a specification from which the agent knows what to pack; None: nothing.

        `attempt`: its number; None: the agent counts, because Lightning begins attempts by itself.
        """
        if not self.is_wanted:
            return None
        return {
            "patterns": list(self._step.outputs),
            "store": self._store.place,
            "attempt": attempt,
            "every": self._step.outputs_every,
            "most_bytes": MOST_BYTES,
            "most_files": MOST_FILES,
        }

    @property
    def mounts(self) -> dict[str, str]:
        """The folders of the drive that a container has to mount, by their paths in it."""
        store = self._store
        has_mount = self.is_wanted and isinstance(store, DriveStore) and store.mount is not None
        return {store.place: store.folder} if has_mount and isinstance(store, DriveStore) else {}

    def prepare(self, attempt: int | None = None) -> None:
        """Create the store unless it is there, with the outputs that an earlier controller has fetched.

        Raises:
            CloudError: the store cannot be created, and its job could not begin without it.
        """
        if not self.is_wanted:
            return
        self._is_open = True
        if isinstance(self._store, DriveStore):
            self._context.journal.lease("folder", self._store.folder)
        try:
            self._context.patiently(partial(self._create, attempt))
        except CloudError as error:
            if not isinstance(self._store, DriveStore) or self._store.mount:
                raise
            self._tell(f"its outputs come back at its end only, as artifacts of its job: {error}")

    def _create(self, attempt: int | None) -> None:
        with self._lock, TemporaryDirectory(prefix="lightning-native-") as work:
            if self._folder.next_record() is not None and self._store.fetch("0.json", Path(work) / "0.json"):
                return
            earlier = self._folder.newest()
            if earlier is not None:
                self._seed(*earlier, Path(work))
                if attempt is not None:
                    self._folder.set_aside(attempt)
            self._put({"attempt": 0, "files": 0, "seeded": earlier is not None}, "0.json", Path(work))
            if earlier is not None or self._folder.next_record() is not None:
                self._folder.remember(2 if earlier else 1)

    def _seed(self, attempt: int, folder: Path, work: Path) -> None:
        """Upload the outputs of an attempt, because the store in which they were is gone."""
        found, _ = agent.select_outputs(str(folder), ["**"], set())
        with (work / "tar").open("w+b") as tar:
            agent.write_tar(found, tar)
            tar.seek(0)
            sha256 = agent.copy_compressed(tar, str(work / _SEED))
        (work / "tar").unlink()
        self._store.put(work / _SEED, _SEED)
        self._put({"attempt": attempt, "files": len(found), "archive": 1, "sha256": sha256}, "1.json", work)

    def _put(self, record: Mapping[str, object], name: str, work: Path) -> None:
        (work / name).write_text(json.dumps(record))
        self._store.put(work / name, name)

    def watch(self) -> None:
        """Fetch the outputs again and again while the step runs, if the plan says so."""
        if self._step.outputs and self._step.outputs_every and self._watching is None:
            self._watching = threading.Thread(target=self._watch, name=f"outputs of {self._step.name}", daemon=True)
            self._watching.start()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Fetch the outputs again and again within the block, if the plan says so."""
        self.watch()
        try:
            yield
        finally:
            self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._step.outputs_every):
            # What fails now is fetched at the end.
            best_effort(self._fetch)

    def finish(self, outcome: Outcome | None, job: Callable[[], JobHandle] | None = None) -> None:
        """Fetch the outputs of an attempt that has ended; without an outcome, whatever it has left.

        `job`: returns the job that it was; without a drive, its artifacts have the outputs.

        Raises:
            StaleControllerError: another controller has taken the run over.
        """
        if not self.is_wanted:
            return
        self._is_open = False
        self._ended.set()
        if self._watching is not None:
            self._watching.join()
        told = (outcome.outputs if outcome else None) or {}
        number = told.get("number") if isinstance(told.get("number"), int) else None
        if told.get("problem"):
            self._tell(f"its outputs could not be kept: {told['problem']}")
        try:
            if told.get("in_home") and job is not None:
                artifacts = ArtifactStore(job(), self._store.place)
                self._fetch(artifacts, 1, until=number, patience=_ARTIFACT_SECONDS)
            else:
                self._fetch(until=number, patience=_AFTERMATH_SECONDS if number is None else _ARRIVAL_SECONDS)
        except StaleControllerError:
            raise
        except (LightningNativeError, OSError, ValueError) as error:
            self._tell(f"its outputs could not be fetched: {error}")

    def rescue(self, pack: Callable[[Mapping[str, Any]], Mapping[str, Any]], attempt: int) -> None:
        """Fetch the outputs of an attempt that died with its studio's machine; does nothing after `finish`.

        `pack`: lets the studio's agent pack them; if it fails, what was packed before is fetched.
        """
        wish = self.wish(attempt)
        if wish is None or not self._is_open:
            return
        told: Mapping[str, Any] | None = None
        with suppress(CloudError):
            told = pack(wish)
        self.finish(Outcome(0, timed_out=False, stopped=False, seconds=0, peak_memory=0, outputs=told))

    def _tell(self, message: str) -> None:
        # Each once, and not in every period.
        if message not in self._told:
            self._told.add(message)
            self._context.journal.event(message, self._step.name)

    def _fetch(
        self,
        store: OutputStore | None = None,
        first: int | None = None,
        *,
        until: int | None = None,
        patience: float = 0,
    ) -> None:
        """Fetch what a store has from its record `first` on; by default, what is new in the step's own store.

        Args:
            store: the store; None: the step's own.
            first: the first record.
            until: the number of a record that is there or will be.
            patience: the seconds to wait for it, or without a number for anything that may still come.
        """
        with self._lock, TemporaryDirectory(prefix="lightning-native-") as work:
            source, path = store or self._store, Path(work) / "record"
            begin = number = first if first is not None else self._folder.next_record() or 1
            is_final = False
            newest: dict[int, _Record] = {}
            deadline = time.monotonic() + patience
            while until is None or number <= until:
                record = self._read(source, number, path)
                if record is not None:
                    number += 1
                    newest[record.attempt] = record if record.files else newest.get(record.attempt, record)
                    is_final = record.is_final
                    self._tell_left_out(record)
                elif time.monotonic() > deadline or (until is None and is_final):
                    break
                else:
                    time.sleep(_PAUSE_SECONDS)
            if until is not None and number <= until:
                self._tell("its last outputs have not arrived; those of before are kept")
            arrived = [self._download(source, record, deadline) for record in newest.values() if record.files]
            if not all(arrived) and patience:
                self._tell("its outputs have not arrived intact")
            if store is None and number > begin and (all(arrived) or patience):
                self._folder.remember(number)

    def _read(self, store: OutputStore, number: int, path: Path) -> _Record | None:
        path.unlink(missing_ok=True)
        with suppress(ValueError):
            # A record that is just being written is read again.
            return _Record.read(path) if store.fetch(f"{number}.json", path) else None
        return None

    def _tell_left_out(self, record: _Record) -> None:
        if record.left_out_count:
            shown = [f"{name} ({reason})" for name, reason in record.left_out[:_NAMED]]
            more = f", and {record.left_out_count - len(shown)} more" if record.left_out_count > len(shown) else ""
            files = "file is" if record.left_out_count == 1 else "files are"
            self._tell(
                f"{record.left_out_count} {files} left out of the outputs of attempt {record.attempt}: "
                f"{', '.join(shown)}{more}"
            )

    def _download(self, store: OutputStore, record: _Record, deadline: float) -> bool:
        """Fetch an archive and extract it; return False if it is not there, or not whole, by the deadline."""
        if self._fetched.get(record.attempt) == record.sha256:
            return True
        room = self._folder.room()
        archive = room / "archive"
        while not store.fetch(f"{record.archive}{ARCHIVE_SUFFIX}", archive) or file_sha256(archive) != record.sha256:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        try:
            most = MOST_BYTES + record.files * _MOST_HEADER_BYTES
            extract_archive(archive, room / "files", max_bytes=most, max_ratio=_MOST_RATIO)
        except ArchiveError as error:
            self._tell(f"the outputs of attempt {record.attempt} are refused: {error}")
            return True
        finally:
            archive.unlink()
        self._folder.put(record.attempt, room / "files")
        self._fetched[record.attempt] = record.sha256
        return True
