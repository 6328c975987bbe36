"""A run's own folder: its plan, its code, its secrets while they are needed, its logs, and who drives it."""

import fcntl
import hashlib
import hmac
import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from lightning_native.engine.resource_names import log_name
from lightning_native.errors import PlanError
from lightning_native.home import home, private, private_folder, write_private

# Below the folder of a controller's run: the folder of the run that the controller drives on Lightning.
_INNER = "inner"
_CODE_ARCHIVE, _PACKAGE_ARCHIVE = f"code{ARCHIVE_SUFFIX}", f"package{ARCHIVE_SUFFIX}"
# The parts of a run that its controller needs on Lightning, besides the packed code.
_INNER_FILES = ("plan.json", "code.json", "environments.json")
# Files that ask the process that drives the run to stop it.
STOP_FILES = {"forced": "stop", "graceful": "stop-gracefully"}
_OWN_WHEEL = "own-wheel.json"
# Modules of controllers, as folders of earlier versions name them.
_MOVED = {
    "lightning_native.engine.controller": "lightning_native.engine.process.controller",
    "lightning_native.zenml.launch": "lightning_native.zenml.remote_controller.launch",
}
# What no step needs when the run is over: secrets, and what is large. Also of a run that is handed over, which is in a
# folder below, and what was being written when we were killed.
_DISCARDED = (
    "environments.json",
    "*/environments.json",
    *(_CODE_ARCHIVE, f".{_CODE_ARCHIVE}*"),
    *(_PACKAGE_ARCHIVE, f".{_PACKAGE_ARCHIVE}*"),
    "*.whl",
    "results.key*",
)


@dataclass(frozen=True)
class OwnWheel:
    """The wheel of this package that a controller on Lightning installs, with one of its extras."""

    path: Path
    sha256: str
    extra: str


class StepLog:
    """The output of one attempt at a step; the file is there once there is output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self) -> int:
        """Return how many bytes there are."""
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, data: bytes) -> None:
        """Write what has come."""
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
        """Return the folder of a run, whether or not it is there.

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
        own_extra: str | None = None,
    ) -> ArchiveReport: ...

    @overload
    def write(
        self,
        plan: RunPlan,
        root: Path | None,
        variables: Mapping[str, Mapping[str, str]],
        *,
        own_extra: str | None = None,
    ) -> ArchiveReport | None: ...

    def write(
        self,
        plan: RunPlan,
        root: Path | None,
        variables: Mapping[str, Mapping[str, str]],
        *,
        own_extra: str | None = None,
    ) -> ArchiveReport | None:
        """Make the folder: pack `root`, keep the plan, and the steps' variables in a 0600 file.

        Without a root nothing is packed: for steps in images. With `own_extra` there is a wheel of this package, too,
        which the steps' studios install with that extra.

        Raises:
            PlanError: something has a name that it cannot have, the plan has credentials in it, or no wheel can be had.
            ArchiveError: `root` cannot be packed. Nothing is left behind.

        """
        check_names(plan)
        # Whoever made the plan: it is kept for ever, and others can read it.
        check_credentials(plan)
        check_variables(variables)
        with Journal() as journal:
            # Before anything else: whatever a process that is killed leaves here is found by it.
            is_new = journal.begin(plan.run_id, plan.name)
            try:
                private_folder(self.path.parent)
                self.path.mkdir(mode=0o700)
                return self._fill(plan, root, variables, own_extra)
            except BaseException:
                if is_new:
                    journal.forget(plan.run_id)
                raise

    def _fill(
        self,
        plan: RunPlan,
        root: Path | None,
        variables: Mapping[str, Mapping[str, str]],
        own_extra: str | None,
    ) -> ArchiveReport | None:
        try:
            self._begin_submission()
            if own_extra is not None:
                self._add_own_wheel(own_extra)
            report = create_archive(root, self._archive) if root is not None else None
            if report is not None:
                self._archive.chmod(0o600)
                self._describe_code(report)
            private_folder(self.logs)
            write_private(self._plan, plan.to_json())
            write_private(self._variables, _variables_json(variables))
        except BaseException:
            self.end_submission()
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        return report

    def _begin_submission(self) -> None:
        """Hold a lock until the run has a controller, which inherits it, so that nobody takes the run for dead."""
        self._submission = private(str(self.path / "submit.lock"), os.O_RDWR | os.O_CREAT)
        self._end_submission = weakref.finalize(self, os.close, self._submission)
        fcntl.flock(self._submission, fcntl.LOCK_EX)

    def submission_files(self) -> tuple[int, ...]:
        """Return what the process inherits that is to drive the run."""
        return () if self._submission is None else (self._submission,)

    def end_submission(self) -> None:
        """Leave the run to the process that drives it."""
        if self._end_submission is not None:
            self._end_submission()
        self._submission = self._end_submission = None

    def _add_own_wheel(self, extra: str) -> None:
        wheel = own_wheel(self.path)
        described = {"name": wheel.name, "sha256": file_sha256(wheel), "extra": extra}
        write_private(self.path / _OWN_WHEEL, json.dumps(described))

    def own_wheel(self) -> OwnWheel | None:
        """Return the wheel that studios install, None where they need none."""
        try:
            described = json.loads((self.path / _OWN_WHEEL).read_text())
        except FileNotFoundError:
            return None
        return OwnWheel(self.path / described["name"], described["sha256"], described["extra"])

    def _describe_code(self, report: ArchiveReport) -> None:
        code = Packed.of(self._archive, report.digest)
        write_private(self.path / "code.json", json.dumps({"digest": code.digest, "sha256": code.sha256}))

    def write_inner(self, plan: RunPlan, variables: Mapping[str, Mapping[str, str]]) -> None:
        """Put the run that a controller drives on Lightning into the folder of the controller's run.

        Both have the same code.
        """
        inner = self.path / _INNER
        inner.mkdir(mode=0o700)
        contents = (plan.to_json(), (self.path / "code.json").read_text(), _variables_json(variables))
        for name, content in zip(_INNER_FILES, contents, strict=True):
            write_private(inner / name, content)

    def has_inner(self) -> bool:
        """Tell whether there is a run in this one's folder that a controller drives on Lightning."""
        return (self.path / _INNER).exists()

    def upload_inner(self, upload: Callable[[Path, str], object], home: str) -> None:
        """Upload the inner run to the folder that `RunFolder.of` returns there, and remove its files here.

        Args:
            upload: uploads a file to a path below the user's home.
            home: where LIGHTNING_NATIVE_HOME is there, below the user's home.
        """
        remote = f"{home}/runs/{self.path.name}"
        upload(self._archive, f"{remote}/{self._archive.name}")
        for name in _INNER_FILES:
            upload(self.path / _INNER / name, f"{remote}/{name}")
            (self.path / _INNER / name).unlink()

    def discard_inner(self) -> None:
        """Remove the inner run, whose variables hold secrets."""
        shutil.rmtree(self.path / _INNER, ignore_errors=True)

    def adopt_uploaded(self) -> None:
        """Make the uploaded folder of a run a folder as `write` makes it."""
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
        """What the controller itself has to say."""
        return self.path / "controller.log"

    @property
    def _plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def _controller(self) -> Path:
        return self.path / "controller.json"

    @property
    def controller_started(self) -> float:
        """The time of the newest controller's start, in seconds since the epoch."""
        return self._controller.stat().st_mtime

    def has_plan(self) -> bool:
        """Return whether the plan is there; a folder that is being written has none yet."""
        return self._plan.exists()

    def remember_controller(self, controller: Sequence[str], local_cloud: Path | None) -> None:
        """Keep how the run's controller is started, for when it has to be started again."""
        described = {"controller": list(controller), "local_cloud": str(local_cloud) if local_cloud else None}
        write_private(self._controller, json.dumps(described))

    def controller(self) -> tuple[list[str], Path | None]:
        """Return the controller's module and arguments, and the root of the local cloud it runs on, if it does.

        Raises:
            PlanError: the run's folder is not there, or its secrets are not, because the run has ended.
        """
        try:
            described = json.loads(self._controller.read_text())
        except (OSError, ValueError) as error:
            raise PlanError(f"{self.path} does not say how its run is driven: {error}") from error
        if not self._variables.exists():
            raise PlanError(f"run {self.path.name} has ended; start it again")
        root = described["local_cloud"]
        module, *arguments = described["controller"]
        return [_MOVED.get(module, module), *arguments], Path(root) if root else None

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
            described = json.loads((self.path / "code.json").read_text())
        except (OSError, ValueError) as error:
            raise PlanError(f"{self.path} has no packed code: {error}") from error
        return Packed(self._archive, described["digest"], described["sha256"])

    def own_package(self) -> Packed:
        """Return this package's Python part, packed by the process that drives the run now.

        Raises:
            ArchiveError: it cannot be packed.
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
        """Return the secret word of an operation, by which its result is told from what its command prints."""
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
            # Complete or not there at all, and never replaced: jobs that run know it.
            with suppress(FileExistsError):
                os.link(written, path)
            written.unlink()
        return path.read_bytes()

    @property
    def _key_path(self) -> Path:
        return self.path / "results.key"

    def discard_secrets(self) -> None:
        """Delete the steps' variables, the run's key, and what is uploaded: no step will need them again."""
        for path in self._secrets():
            path.unlink(missing_ok=True)

    def has_secrets(self) -> bool:
        """Tell whether there is what `discard_secrets` deletes."""
        return any(True for _ in self._secrets())

    def _secrets(self) -> Iterator[Path]:
        for pattern in _DISCARDED:
            yield from self.path.glob(pattern)

    def log(self, step: str, attempt: int = 1) -> Path:
        """Return where the output of one attempt at a step is kept."""
        return self.logs / log_name(step, attempt)

    def request_stop(self, *, graceful: bool) -> None:
        """Ask whoever drives the run, now or later, to stop it: at once, or when the running steps have ended."""
        (self.path / STOP_FILES["graceful" if graceful else "forced"]).touch(mode=0o600)

    def stop_requested(self) -> Literal["no", "graceful", "forced"]:
        """Tell whether and how the run is to be stopped."""
        if (self.path / STOP_FILES["forced"]).exists():
            return "forced"
        return "graceful" if (self.path / STOP_FILES["graceful"]).exists() else "no"

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run's lock while driving it.

        Raises:
            PlanError: another process drives it.

        """
        with open(self.path / "controller.lock", "w", opener=private) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlanError(f"run {self.path.name} is driven by another process already") from None
            self.end_submission()
            yield

    def is_driven(self) -> bool:
        """Tell whether a process drives the run now, or is about to."""
        return self.is_locked("controller.lock") or self.is_locked("submit.lock")

    def is_locked(self, name: str) -> bool:
        """Tell whether a process has locked a file of the folder."""
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
