"""The run folder: plan, code, secrets while they are needed, logs, and the lock of the process that drives the run."""

import fcntl
import hashlib
import hmac
import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

from lightning_native import ArchiveReport, create_archive
from lightning_native.agent_protocol import ARCHIVE_SUFFIX
from lightning_native.engine.own.package import pack_own_package
from lightning_native.engine.own.wheel import own_wheel
from lightning_native.engine.packed import Packed, file_sha256
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.bounds import check_credentials, check_variables
from lightning_native.engine.planning.name_checks import check_folder_name, check_names
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.output_folder import OutputFolder
from lightning_native.engine.resource_names import log_name
from lightning_native.errors import PlanError
from lightning_native.home import home, private, private_folder, write_private
from lightning_native.progress_bar import ProgressBar

# Below the folder of a controller's run: the folder of the run that the controller drives on Lightning.
_INNER = "inner"
_CODE_ARCHIVE, _PACKAGE_ARCHIVE = f"code{ARCHIVE_SUFFIX}", f"package{ARCHIVE_SUFFIX}"
# The parts of an inner run that differ from those of the controller's own run.
_INNER_FILES = ("plan.json", "environments.json")
# Files that ask the controller to stop the run.
STOP_FILES = {"forced": "stop", "graceful": "stop-gracefully"}
_OWN_WHEEL = "own-wheel.json"
_CODE = "code.json"
# The bytes at the end of a log that a reason is sought in.
_LOG_END = 32 * 1024
# The files that no step needs after the run's end: secrets, and large files. Also those of an inner run, which are in a
# folder below, and those that a killed process left incomplete.
_DISCARDED = (
    "environments.json",
    "*/environments.json",
    *(_CODE_ARCHIVE, f".{_CODE_ARCHIVE}*"),
    *(_PACKAGE_ARCHIVE, f".{_PACKAGE_ARCHIVE}*"),
    "*.whl",
    "results.key*",
)

# The plan and the variables of an inner run.
InnerRun = tuple[RunPlan, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class OwnWheel:
    """The wheel of this package that a controller on Lightning installs, with one of its extras."""

    path: Path
    sha256: str
    extra: str


class StepLog:
    """The output of one attempt at a step; the file exists once there is output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self) -> int:
        """Return the number of bytes so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def end(self) -> str:
        """Return the last of the output."""
        if not self._path.exists():
            return ""
        with self._path.open("rb") as log:
            log.seek(max(0, self.size() - _LOG_END))
            return log.read().decode(errors="replace")

    def append(self, data: bytes) -> None:
        """Append new output."""
        with open(self._path, "ab", opener=private) as log:
            log.write(data)


class RunFolder:
    """The folder of one run below `LIGHTNING_NATIVE_HOME/runs`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._submission: int | None = None
        self._end_submission: weakref.finalize[..., RunFolder] | None = None

    @classmethod
    def of(cls, run_id: str) -> "RunFolder":
        """Return the folder of a run, whether or not it exists.

        Raises:
            PlanError: no run can have this id.
        """
        return cls(_runs() / check_folder_name(run_id))

    @classmethod
    def all(cls) -> "list[RunFolder]":
        """Return the folders of all runs, by name."""
        return [cls(path) for path in sorted(_runs().glob("*"))]

    @property
    def logs(self) -> Path:
        """The folder of the steps' logs."""
        return self.path / "logs"

    @overload
    def write(
        self,
        plan: RunPlan,
        root: Path,
        variables: Mapping[str, Mapping[str, str]],
        *,
        origin: Origin = ...,
        inner: InnerRun | None = None,
    ) -> ArchiveReport: ...

    @overload
    def write(
        self,
        plan: RunPlan,
        root: Path | None,
        variables: Mapping[str, Mapping[str, str]],
        *,
        origin: Origin = ...,
        inner: InnerRun | None = None,
    ) -> ArchiveReport | None: ...

    def write(
        self,
        plan: RunPlan,
        root: Path | None,
        variables: Mapping[str, Mapping[str, str]],
        *,
        origin: Origin = Origin(),  # noqa: B008  it is immutable
        inner: InnerRun | None = None,
    ) -> ArchiveReport | None:
        """Create the folder: write the plan and, in a 0600 file, the steps' variables, and pack `root`.

        Without a root nothing is packed, as for steps in images. `complete` goes on after a process that was killed
        meanwhile, so everything that is small is written before anything is packed.

        Args:
            plan: the plan.
            root: the folder of the code.
            variables: those of each step.
            origin: the way in which the run is started. With its `own_extra` the folder also gets a wheel of this
                package, which the steps' studios install with that extra.
            inner: the run that the controller drives on Lightning; it has the same code.

        Raises:
            PlanError: a name or a variable is not allowed, the plan holds credentials, or there is no wheel.
            ArchiveError: `root` cannot be packed. No folder remains.

        """
        check_names(plan)
        # Every plan is checked, because it is kept for ever and other people can read it.
        check_credentials(plan)
        check_variables(variables)
        with Journal() as journal:
            # First of all, because the files of a killed process are found by this record.
            steps = [] if plan.schedule else [step.name for step in plan.steps]
            is_new = journal.begin(plan.run_id, plan.name, steps)
            try:
                private_folder(self.path.parent)
                self.path.mkdir(mode=0o700)
                return self._fill(plan, variables, origin.changed(root=str(root) if root else None), inner)
            except BaseException:
                if is_new:
                    journal.forget(plan.run_id)
                raise

    def _fill(
        self, plan: RunPlan, variables: Mapping[str, Mapping[str, str]], origin: Origin, inner: InnerRun | None
    ) -> ArchiveReport | None:
        try:
            self._begin_submission()
            private_folder(self.logs)
            write_private(self._plan, plan.to_json())
            origin.write(self.path)
            if inner is not None:
                self._write_inner(*inner)
            # Last of what is small, because without it the run counts as not submitted.
            write_private(self._variables, _variables_json(variables))
            return self._pack(origin)
        except BaseException:
            self.end_submission()
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def _pack(self, origin: Origin) -> ArchiveReport | None:
        if origin.own_extra is not None and not (self.path / _OWN_WHEEL).exists():
            self._add_own_wheel(origin.own_extra)
        if origin.root is None or (self.path / _CODE).exists():
            return None
        with ProgressBar("packing the code") as progress:
            report = create_archive(Path(origin.root), self._archive, progress=progress)
        self._archive.chmod(0o600)
        self._describe_code(report)
        return report

    def complete(self) -> ArchiveReport | None:
        """Pack the code of a run whose submission was killed before; return what was packed now.

        Raises:
            PlanError: the submission was killed before the run could go on, or the run has ended.
            ArchiveError: the code cannot be packed.
        """
        if not (self.has_plan() and self.has_variables()):
            raise PlanError(f"run {self.path.name} was killed before it was submitted; start it again")
        self.plan()
        try:
            self.variables()
        except ValueError as error:
            raise PlanError(f"run {self.path.name} was killed before it was submitted; start it again") from error
        return self._pack(self.origin())

    def _begin_submission(self) -> None:
        """Hold a lock until the run has a controller, which inherits it; an unlocked run counts as dead."""
        self._submission = private(str(self.path / "submit.lock"), os.O_RDWR | os.O_CREAT)
        self._end_submission = weakref.finalize(self, os.close, self._submission)
        fcntl.flock(self._submission, fcntl.LOCK_EX)

    def submission_files(self) -> tuple[int, ...]:
        """Return the file descriptors that the controller's process inherits."""
        return () if self._submission is None else (self._submission,)

    def end_submission(self) -> None:
        """Release the lock of the submission, because the controller has one of its own, or never will."""
        if self._end_submission is not None:
            self._end_submission()
        self._submission = self._end_submission = None

    def _add_own_wheel(self, extra: str) -> None:
        wheel = own_wheel(self.path)
        described = {"name": wheel.name, "sha256": file_sha256(wheel), "extra": extra}
        write_private(self.path / _OWN_WHEEL, json.dumps(described))

    def own_wheel(self) -> OwnWheel | None:
        """Return the wheel that studios install; None if they need none."""
        try:
            described = json.loads((self.path / _OWN_WHEEL).read_text())
        except FileNotFoundError:
            return None
        return OwnWheel(self.path / described["name"], described["sha256"], described["extra"])

    def _describe_code(self, report: ArchiveReport) -> None:
        code = Packed.of(self._archive, report.digest)
        # Its presence is the sign that the archive is whole.
        written = self.path / f".{_CODE}"
        write_private(written, json.dumps({"digest": code.digest, "sha256": code.sha256}))
        written.replace(self.path / _CODE)

    def outputs(self, step: str, attempt: int) -> Path:
        """Return the folder of the outputs of an attempt at a step; it exists once they have come back."""
        return OutputFolder(self.path, step).attempt(attempt)

    def _write_inner(self, plan: RunPlan, variables: Mapping[str, Mapping[str, str]]) -> None:
        inner = self.path / _INNER
        inner.mkdir(mode=0o700)
        for name, content in zip(_INNER_FILES, (plan.to_json(), _variables_json(variables)), strict=True):
            write_private(inner / name, content)

    def has_inner(self) -> bool:
        """Return whether the folder holds an inner run, which a controller drives on Lightning."""
        return (self.path / _INNER).exists()

    def inner_steps(self) -> tuple[str, ...]:
        """Return the names of the inner run's steps; none without one, or after its upload."""
        inner = RunFolder(self.path / _INNER)
        return tuple(step.name for step in inner.plan().steps) if inner.has_plan() else ()

    def upload_inner(self, upload: Callable[[Path, str], object], home: str) -> None:
        """Upload the inner run to the folder that `RunFolder.of` returns on its machine.

        Its files here stay until the controller is up, because another process may have to upload them again.

        Args:
            upload: uploads a file to a path below the user's home.
            home: LIGHTNING_NATIVE_HOME of that machine, relative to the user's home.
        """
        remote = f"{home}/runs/{self.path.name}"
        for path in (self._archive, self.path / _CODE, *(self.path / _INNER / name for name in _INNER_FILES)):
            upload(path, f"{remote}/{path.name}")

    def discard_inner(self) -> None:
        """Remove the inner run, whose variables hold secrets."""
        shutil.rmtree(self.path / _INNER, ignore_errors=True)

    def adopt_uploaded(self) -> None:
        """Turn the uploaded folder of a run into one such as `write` creates; one that it already is stays so."""
        if not self.logs.exists():
            self._variables.chmod(0o600)
        private_folder(self.logs)

    @property
    def _archive(self) -> Path:
        return self.path / _CODE_ARCHIVE

    @property
    def _variables(self) -> Path:
        return self.path / "environments.json"

    @property
    def controller_log(self) -> Path:
        """The output of the controller itself."""
        return self.path / "controller.log"

    @property
    def _plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def controller_started(self) -> float:
        """The time of the newest controller's start or last output, in seconds since the epoch; 0 if none began."""
        return self.controller_log.stat().st_mtime if self.controller_log.exists() else 0.0

    def has_plan(self) -> bool:
        """Return whether the plan is there; a folder that is being written has none yet."""
        return self._plan.exists()

    def origin(self) -> Origin:
        """Return the way in which the run was started.

        Raises:
            PlanError: the run folder is missing, or incomplete.
        """
        return Origin.read(self.path)

    def controller(self) -> tuple[list[str], Path | None]:
        """Return the controller's module and arguments, and the root of its local cloud; None: on Lightning.

        Raises:
            PlanError: the run folder is missing, or its secrets are, because the run has ended.
        """
        origin = self.origin()
        if not self.has_variables():
            raise PlanError(f"run {self.path.name} has ended; start it again")
        return list(origin.controller), Path(origin.local_cloud) if origin.local_cloud else None

    def plan(self) -> RunPlan:
        """Read the plan.

        Raises:
            PlanError: it is not there or not readable.
        """
        try:
            return RunPlan.from_json(self._plan.read_text())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlanError(f"{self._plan} cannot be read as a plan: {error}") from error

    def code(self) -> Packed:
        """Return the packed code."""
        return self._code

    @cached_property
    def _code(self) -> Packed:
        try:
            described = json.loads((self.path / _CODE).read_text())
        except (OSError, ValueError) as error:
            raise PlanError(f"{self.path} has no packed code: {error}") from error
        return Packed(self._archive, described["digest"], described["sha256"])

    def own_package(self) -> Packed:
        """Return this package's Python part, packed by the process that drives the run now.

        Raises:
            ArchiveError: the package cannot be packed.
        """
        return self._own_package

    @cached_property
    def _own_package(self) -> Packed:
        return pack_own_package(self.path / _PACKAGE_ARCHIVE)

    def variables(self) -> dict[str, dict[str, str]]:
        """Read the steps' variables."""
        variables: dict[str, dict[str, str]] = json.loads(self._variables.read_text())
        return variables

    def word(self, operation: str) -> str:
        """Return the secret word of an operation, which distinguishes its result from the output of its command."""
        return hmac.new(self._key, operation.encode(), hashlib.sha256).hexdigest()[:32]

    @cached_property
    def _key(self) -> bytes:
        """The run's own key, the same for every controller that drives the run."""
        path = self._key_path
        if not path.exists():
            written = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(os.urandom(32))
            # The file is complete or missing, and never replaced, because running jobs know the key.
            with suppress(FileExistsError):
                os.link(written, path)
            written.unlink()
        return path.read_bytes()

    @property
    def _key_path(self) -> Path:
        return self.path / "results.key"

    def discard_secrets(self) -> None:
        """Delete the steps' variables, the run's key, and the packed files, because no step needs them any more."""
        for path in self._secrets():
            path.unlink(missing_ok=True)

    def has_variables(self) -> bool:
        """Return whether the steps' variables are there, without which no controller can drive the run."""
        return self._variables.exists()

    def has_secrets(self) -> bool:
        """Return whether the folder has files that `discard_secrets` deletes."""
        return any(True for _ in self._secrets())

    def _secrets(self) -> Iterator[Path]:
        for pattern in _DISCARDED:
            yield from self.path.glob(pattern)

    def log(self, step: str, attempt: int = 1) -> Path:
        """Return the path of the log of one attempt at a step."""
        return self.logs / log_name(step, attempt)

    def request_stop(self, *, graceful: bool) -> None:
        """Ask the run's present or next controller to stop it: at once, or when the running steps have ended."""
        (self.path / STOP_FILES["graceful" if graceful else "forced"]).touch(mode=0o600)

    def stop_requested(self) -> Literal["no", "graceful", "forced"]:
        """Return whether a stop of the run is requested, and which kind."""
        if (self.path / STOP_FILES["forced"]).exists():
            return "forced"
        return "graceful" if (self.path / STOP_FILES["graceful"]).exists() else "no"

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run's lock while this process drives it.

        Raises:
            PlanError: another process drives the run.

        """
        with open(self.path / "controller.lock", "w", opener=private) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlanError(f"run {self.path.name} is driven by another process already") from None
            self.end_submission()
            yield

    def is_driven(self) -> bool:
        """Return whether a process drives the run now, or is about to."""
        return self.is_locked("controller.lock") or self.is_locked("submit.lock")

    def is_locked(self, name: str) -> bool:
        """Return whether a process has locked a file of the folder."""
        try:
            with (self.path / name).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def _runs() -> Path:
    return home() / "runs"


def _variables_json(variables: Mapping[str, Mapping[str, str]]) -> str:
    return json.dumps({step: dict(of_step) for step, of_step in variables.items()})
