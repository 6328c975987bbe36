"""Studios through the SDK, with every call safe to repeat."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import join as shell_join
from typing import TYPE_CHECKING

from lightning_native.errors import CloudError
from lightning_native.lightning.errors import cloud_errors, is_gone
from lightning_native.lightning.machines import canonical_machine, sdk_name
from lightning_native.lightning.sdk.internals import end_keep_alive, remove_file

if TYPE_CHECKING:
    from lightning_sdk import Machine, Studio

# The longest that a machine may need to start or to stop.
_SETTLE_SECONDS = 1800.0
_POLL_SECONDS = 0.2


class LightningStudio:
    """One studio of the SDK."""

    def __init__(self, studio: "Studio") -> None:
        self._studio = studio

    @property
    def sdk_studio(self) -> "Studio":
        """The SDK's own object."""
        return self._studio

    @property
    def name(self) -> str:
        """The studio's name."""
        return str(self._studio.name)

    @property
    def cloud_account(self) -> str | None:
        """The id of the cloud account that the studio is on for ever."""
        return str(self._studio.cloud_account) or None

    def start(self, machine: str | None) -> None:
        """Ensure that the studio runs on `machine`; None: on any machine, the default one if it does not run yet."""
        from lightning_sdk import Machine

        wanted = Machine.from_str(canonical_machine(machine)) if machine else None
        with cloud_errors(f"start studio {self.name!r}" + (f" on {machine}" if machine else "")):
            self.settle()
            if not self.is_running():
                self._start(wanted)
            elif wanted is not None and self._studio.machine != wanted:
                self._studio.switch_machine(wanted)

    def _start(self, wanted: "Machine | None") -> None:
        try:
            self._studio.start(wanted)
        except Exception:
            # Another process may have started it at the same moment.
            self.settle()
            if not self.is_running() or (wanted is not None and self._studio.machine != wanted):
                raise

    def settle(self) -> None:
        """Wait while the studio is being started or stopped."""
        from lightning_sdk import Status

        deadline = time.monotonic() + _SETTLE_SECONDS
        with cloud_errors(f"see how studio {self.name!r} stands"):
            while (status := self._studio.status) in (Status.Pending, Status.Stopping):
                if time.monotonic() > deadline:
                    raise CloudError(f"studio {self.name!r} is {status} for too long; stop it, and try again")
                time.sleep(_POLL_SECONDS)

    def is_running(self) -> bool:
        """Return whether the studio runs now."""
        from lightning_sdk import Status

        with cloud_errors(f"see how studio {self.name!r} stands"):
            return bool(self._studio.status == Status.Running)

    def is_up(self) -> bool:
        """Return whether the studio runs or is being started."""
        from lightning_sdk import Status

        with cloud_errors(f"see how studio {self.name!r} stands"):
            return self._studio.status in (Status.Running, Status.Pending)

    def runs_on(self, machine: str) -> bool:
        """Return whether the studio runs on `machine` now."""
        from lightning_sdk import Machine

        with cloud_errors(f"see what studio {self.name!r} runs on"):
            now, wanted = self._studio.machine, Machine.from_str(canonical_machine(machine))
            # The SDK calls all machines equal of which it knows neither family nor number.
            by_slug = now is not None and not (now.family and wanted.family)
            return bool(now.slug == wanted.slug if by_slug else now == wanted)

    def machine(self) -> str | None:
        """Return the name of the machine that the studio runs on now; None if it does not run."""
        with cloud_errors(f"see what studio {self.name!r} runs on"):
            now = self._studio.machine
            return None if now is None else sdk_name(str(now.slug)) or str(now.slug)

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""
        with cloud_errors(f"run a command in studio {self.name!r}"):
            output, code = self._studio.run_with_exit_code(shell_join(argv))
            return str(output), int(code)

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home."""
        with cloud_errors(f"upload {remote_path} to studio {self.name!r}"):
            self._studio.upload_file(str(path), remote_path, progress_bar=False)

    def remove(self, remote_path: str) -> None:
        """Remove a file below the studio's home. It is no error if the file is gone."""
        with cloud_errors(f"remove {remote_path} from studio {self.name!r}"), suppress(FileNotFoundError):
            remove_file(self._studio, remote_path)

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it on request. It is no error if the studio is gone."""
        from lightning_sdk import Status

        with cloud_errors(f"{'delete' if delete else 'stop'} studio {self.name!r}"):
            end_keep_alive(self._studio)
            try:
                if delete:
                    self._studio.delete()
                elif self._studio.status in (Status.Running, Status.Pending):
                    self._studio.stop()
            except Exception as error:
                if not is_gone(error):
                    raise
