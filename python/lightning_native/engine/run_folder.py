"""A run's own folder: its plan, its code, its secrets while they are needed, its logs, and who drives it."""

import fcntl
import hashlib
import hmac
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

from lightning_native import ArchiveReport, create_archive, unique_studio_name
from lightning_native.engine.names import check_folder_name, check_names, check_variables
from lightning_native.engine.plan import RunPlan, load_plan
from lightning_native.errors import PlanError
from lightning_native.home import home


@dataclass(frozen=True)
class Code:
    """The packed source tree: its archive, the digest that names it, and the SHA-256 that proves an upload."""

    archive: Path
    digest: str
    sha256: str


class StepLog:
    """The output of one attempt at a step; the file is there once there is output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self) -> int:
        """Return how many bytes there are."""
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, data: bytes) -> None:
        """Write what has come."""
        with self._path.open("ab") as log:
            log.write(data)


class RunFolder:
    """The folder of one run below `LIGHTNING_NATIVE_HOME/runs`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, run_id: str) -> "RunFolder":
        """Return the folder of a run, whether or not it is there.

        Raises:
            PlanError: no run can have this id.
        """
        return cls(home() / "runs" / check_folder_name(run_id))

    @overload
    def write(self, plan: RunPlan, root: Path, environments: Mapping[str, Mapping[str, str]]) -> ArchiveReport: ...

    @overload
    def write(
        self, plan: RunPlan, root: Path | None, environments: Mapping[str, Mapping[str, str]]
    ) -> ArchiveReport | None: ...

    def write(
        self, plan: RunPlan, root: Path | None, environments: Mapping[str, Mapping[str, str]]
    ) -> ArchiveReport | None:
        """Make the folder: pack `root`, keep the plan, and the steps' environments in a 0600 file.

        Without a root nothing is packed: for steps in images.

        Raises:
            PlanError: something has a name that it cannot have.
            ArchiveError: `root` cannot be packed. Nothing is left behind.

        """
        check_names(plan)
        for step, variables in environments.items():
            check_variables(variables, f"step {step!r}")
        self.path.mkdir(mode=0o700, parents=True)
        try:
            report = create_archive(root, self._archive) if root is not None else None
            if report is not None:
                self._describe_code(report)
            (self.path / "logs").mkdir()
            (self.path / "plan.json").write_text(plan.to_json())
            descriptor = os.open(self._environments, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                json.dump({step: dict(variables) for step, variables in environments.items()}, stream)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        return report

    def _describe_code(self, report: ArchiveReport) -> None:
        with self._archive.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256") if hasattr(hashlib, "file_digest") else None
        if sha256 is None:
            sha256 = hashlib.sha256(self._archive.read_bytes())
        (self.path / "code.json").write_text(json.dumps({"digest": report.digest, "sha256": sha256.hexdigest()}))

    @property
    def _archive(self) -> Path:
        return self.path / "code.tar.gz"

    @property
    def _environments(self) -> Path:
        return self.path / "environments.json"

    @property
    def controller_log(self) -> Path:
        """What the controller itself has to say."""
        return self.path / "controller.log"

    def remember_controller(self, controller: Sequence[str], local_cloud: Path | None) -> None:
        """Keep how the run's controller is started, for when it has to be started again."""
        described = {"controller": list(controller), "local_cloud": str(local_cloud) if local_cloud else None}
        (self.path / "controller.json").write_text(json.dumps(described))

    def controller(self) -> tuple[list[str], Path | None]:
        """Return the controller's module and arguments, and the root of the local cloud it runs on, if it does.

        Raises:
            PlanError: the run's folder is not there, or its secrets are not, because the run has ended.
        """
        try:
            described = json.loads((self.path / "controller.json").read_text())
        except (OSError, ValueError) as error:
            raise PlanError(f"{self.path} does not say how its run is driven: {error}") from error
        if not self._environments.exists():
            raise PlanError(f"run {self.path.name} has ended; start it again")
        root = described["local_cloud"]
        return described["controller"], Path(root) if root else None

    def plan(self) -> RunPlan:
        """Read the plan."""
        return load_plan(self.path)

    def code(self) -> Code:
        """Return the packed code."""
        return self._code

    @cached_property
    def _code(self) -> Code:
        try:
            described = json.loads((self.path / "code.json").read_text())
        except (OSError, ValueError) as error:
            raise PlanError(f"{self.path} has no packed code: {error}") from error
        return Code(self._archive, described["digest"], described["sha256"])

    def environments(self) -> dict[str, dict[str, str]]:
        """Read the steps' environments."""
        environments: dict[str, dict[str, str]] = json.loads(self._environments.read_text())
        return environments

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
        """Delete the steps' environments, the code archive and the run's key: no step will need them again."""
        self._environments.unlink(missing_ok=True)
        self._archive.unlink(missing_ok=True)
        self._key_path.unlink(missing_ok=True)

    def log(self, step: str, attempt: int = 1) -> Path:
        """Return where the output of one attempt at a step is kept."""
        suffix = f".{attempt}" if attempt > 1 else ""
        return self.path / "logs" / f"{unique_studio_name(step)}{suffix}.log"

    def request_stop(self, *, graceful: bool) -> None:
        """Ask whoever drives the run, now or later, to stop it: at once, or when the running steps have ended."""
        (self.path / ("stop-gracefully" if graceful else "stop")).touch()

    def stop_requested(self) -> Literal["no", "graceful", "forced"]:
        """Tell whether and how the run is to be stopped."""
        if (self.path / "stop").exists():
            return "forced"
        return "graceful" if (self.path / "stop-gracefully").exists() else "no"

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run's lock while driving it.

        Raises:
            PlanError: another process drives it.

        """
        with (self.path / "controller.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlanError(f"run {self.path.name} is driven by another process already") from None
            yield

    def is_driven(self) -> bool:
        """Tell whether a process drives the run now."""
        return self.is_locked("controller.lock")

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
