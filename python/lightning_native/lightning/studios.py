"""Studios through the SDK, with every call safe to repeat."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import join as shell_join
from typing import TYPE_CHECKING, Protocol

from lightning_native.errors import CloudError
from lightning_native.lightning.machines import canonical_machine

if TYPE_CHECKING:
    from lightning_sdk import Studio, Teamspace


class StudioHandle(Protocol):
    """One studio, as the engine needs it."""

    @property
    def name(self) -> str:
        """The studio's name."""

    def start(self, machine: str | None) -> None:
        """Have the studio running on `machine`; None: on whatever it runs, else on the default machine."""

    def is_running(self) -> bool:
        """Tell whether the studio runs now."""

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home."""

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it if so asked. Gone already is a success."""


class StudioCloud(Protocol):
    """Where studios come from. Every method raises `CloudError` when Lightning refuses or fails."""

    def find_studio(self, name: str) -> StudioHandle | None:
        """Return the studio of this name, running or not."""

    def create_studio(self, name: str) -> StudioHandle:
        """Return a studio of this name, created if it is not there; it is not started."""


class LightningStudioCloud:
    """The teamspace that the environment of this process names, through the SDK.

    The SDK reads the environment once per process, so one process serves one cloud.
    """

    def __init__(self, teamspace: "Teamspace") -> None:
        self._teamspace = teamspace

    def find_studio(self, name: str) -> "LightningStudio | None":
        """Return the studio of this name, running or not."""
        from lightning_sdk import Studio

        with _cloud_errors(f"look for studio {name!r}"):
            try:
                return LightningStudio(Studio(name=name, teamspace=self._teamspace, create_ok=False))
            except ValueError as error:
                if "does not exist" in str(error):
                    return None
                raise

    def create_studio(self, name: str) -> "LightningStudio":
        """Return a studio of this name, created if it is not there; it is not started."""
        from lightning_sdk import Studio

        with _cloud_errors(f"create studio {name!r}"):
            return LightningStudio(Studio(name=name, teamspace=self._teamspace))

    def studio_names(self) -> list[str]:
        """Return the names of all studios of the teamspace."""
        with _cloud_errors("list the studios"):
            return [str(studio.name) for studio in self._teamspace.studios]


class LightningStudio:
    """One studio of the SDK."""

    def __init__(self, studio: "Studio") -> None:
        self._studio = studio

    @property
    def name(self) -> str:
        """The studio's name."""
        return str(self._studio.name)

    def start(self, machine: str | None) -> None:
        """Have the studio running on `machine`; None: on whatever it runs, else on the default machine."""
        from lightning_sdk import Machine

        wanted = Machine.from_str(canonical_machine(machine)) if machine else None
        with _cloud_errors(f"start studio {self.name!r}" + (f" on {machine}" if machine else "")):
            if not self.is_running():
                self._studio.start(wanted)
            elif wanted is not None and self._studio.machine != wanted:
                self._studio.switch_machine(wanted)

    def is_running(self) -> bool:
        """Tell whether the studio runs now."""
        from lightning_sdk import Status

        with _cloud_errors(f"see how studio {self.name!r} stands"):
            return bool(self._studio.status == Status.Running)

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""
        with _cloud_errors(f"run a command in studio {self.name!r}"):
            output, code = self._studio.run_with_exit_code(shell_join(argv))
            return str(output), int(code)

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home."""
        with _cloud_errors(f"upload {remote_path} to studio {self.name!r}"):
            self._studio.upload_file(str(path), remote_path, progress_bar=False)

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it if so asked. Gone already is a success."""
        from lightning_sdk import Status

        with _cloud_errors(f"{'delete' if delete else 'stop'} studio {self.name!r}"):
            try:
                if delete:
                    self._studio.delete()
                elif self._studio.status in (Status.Running, Status.Pending):
                    self._studio.stop()
            except Exception as error:
                if not _is_gone(error):
                    raise


def _is_gone(error: BaseException) -> bool:
    return getattr(error, "status", None) == 404 or "not found" in str(error).lower()


@contextmanager
def _cloud_errors(attempt: str) -> Iterator[None]:
    """Turn whatever the SDK raises into a CloudError that says what was attempted."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        text = str(error).strip()
        raise CloudError(f"cannot {attempt}: {text.splitlines()[0] if text else type(error).__name__}") from error
