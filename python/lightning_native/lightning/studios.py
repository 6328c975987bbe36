"""Studios through the SDK, with every call safe to repeat, and every start within a time limit."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from shlex import join as shell_join
from typing import TYPE_CHECKING

from lightning_native.errors import BootError, CloudError
from lightning_native.lightning.errors import cloud_errors, is_gone, is_missing, reason_of
from lightning_native.lightning.machines import canonical_machine, sdk_name
from lightning_native.lightning.sdk.internals import (
    download_file,
    end_keep_alive,
    machine_in_use,
    remove_file,
    studio_message,
)
from lightning_native.lightning.verified_upload import upload_verified

if TYPE_CHECKING:
    from lightning_sdk import Machine, Studio

# The longest that a machine may need to start or to stop.
_SETTLE_SECONDS = 1800.0
# The longest wait for the end of the SDK's call about a studio that runs: its files are being restored meanwhile.
_RESTORE_SECONDS = 60.0
# The longest wait for a switch that was refused; the vendor saw one happen after 14 s.
_REFUSED_SECONDS = 120.0
_REFUSED_SWITCH = "cannot switch to a studio"
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

    def start(self, machine: str | None, timeout: float | None = None) -> None:
        """Ensure that the studio runs on `machine`; None: on any machine, the default one if it does not run yet.

        `timeout`: the seconds in which the machine must have started; None: half an hour.

        Raises:
            BootError: the machine failed to start, or did not in time.
        """
        from lightning_sdk import Machine

        wanted = Machine.from_str(canonical_machine(machine)) if machine else None
        with cloud_errors(f"start studio {self.name!r}" + (f" on {machine}" if machine else "")):
            self.settle()
            if not self.is_running():
                self._start(wanted, timeout or _SETTLE_SECONDS)
            elif machine is not None and wanted is not None and not self.runs_on(machine):
                self._switch(wanted, timeout or _SETTLE_SECONDS)

    def _start(self, wanted: "Machine | None", timeout: float) -> None:
        call = _Call(partial(self._studio.start, wanted))
        try:
            self._finish(call, self.is_running, timeout)
        except CloudError:
            raise
        except Exception:
            # Another process may have started it at the same moment.
            self.settle()
            if not self.is_running() or (wanted is not None and self._studio.machine != wanted):
                raise

    def _switch(self, wanted: "Machine", timeout: float) -> None:
        before = machine_in_use(self._studio)

        def has_switched() -> bool:
            # The SDK's `machine` is the one that was asked for.
            now = machine_in_use(self._studio)
            return self.is_running() and (now != before if before and now else bool(self._studio.machine == wanted))

        call = _Call(partial(self._studio.switch_machine, wanted))
        try:
            self._finish(call, has_switched, timeout)
        except CloudError:
            raise
        except Exception as error:
            if _REFUSED_SWITCH not in reason_of(error).lower() or not _wait_for(has_switched, _REFUSED_SECONDS):
                raise

    def _finish(self, call: "_Call", is_done: Callable[[], bool], timeout: float) -> None:
        """Wait for the end of a call that may never return, or until the studio is as wanted for long enough.

        Raises:
            BootError: neither within `timeout` seconds; whoever started the studio has to stop it.
            Exception: the call's own.
        """
        deadline = time.monotonic() + timeout
        done_since: float | None = None
        while not call.wait(_POLL_SECONDS):
            now = time.monotonic()
            if now > deadline:
                within = f"{timeout:g} s (boot_timeout)" if timeout < _SETTLE_SECONDS else f"{timeout / 60:g} minutes"
                raise BootError(f"cannot start studio {self.name!r} within {within}: it is {self._status()}")
            done_since = (done_since or now) if self._is(is_done) else None
            if done_since is not None and now - done_since > _RESTORE_SECONDS:
                return

    def _is(self, is_done: Callable[[], bool]) -> bool:
        # A failed look at the studio proves nothing about the call.
        try:
            return is_done()
        except Exception:
            return False

    def _status(self) -> str:
        with suppress(Exception):
            return str(self._studio.status).rpartition(".")[2].lower()
        return "in an unknown state"

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

    def machine_id(self) -> str:
        """Return the id of the machine that the studio has now, which a restart changes; empty if it is not known."""
        with cloud_errors(f"see what studio {self.name!r} runs on"):
            return machine_in_use(self._studio)

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

    def message(self) -> str:
        """Return Lightning's words about the studio's end, such as that there is no money; empty without any."""
        with cloud_errors(f"read why studio {self.name!r} does not run"):
            return studio_message(self._studio)

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""
        with cloud_errors(f"run a command in studio {self.name!r}"):
            output, code = self._studio.run_with_exit_code(shell_join(argv))
            return str(output), int(code)

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home, and compare what arrived."""

        def upload() -> None:
            self._studio.upload_file(str(path), remote_path, progress_bar=False)

        with cloud_errors(f"upload {remote_path} to studio {self.name!r}"):
            upload_verified(path, remote_path, upload, partial(self.download, remote_path))

    def download(self, remote_path: str, path: Path) -> bool:
        """Download a file below the studio's home, whether or not it runs; return whether there is such a file."""
        with cloud_errors(f"download {remote_path} from studio {self.name!r}"):
            try:
                download_file(self._studio, remote_path, str(path))
            except Exception as error:
                if is_missing(error):
                    return False
                raise
            return True

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


class _Call:
    """A call in a thread of its own, because the SDK's calls about machines may block for ever."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="start or switch a studio", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._action()
        except BaseException as error:
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Return whether the call ends within some seconds; raise its error."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True


def _wait_for(is_done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
