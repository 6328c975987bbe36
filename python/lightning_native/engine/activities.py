"""The work of a run's controller besides its steps, such as uploads, shown to a person who watches the run."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_native.home import write_private
from lightning_native.read_position import bytes_read
from lightning_native.units import human_bytes

_FILE = "activities.json"


@dataclass(frozen=True)
class Activity:
    """A piece of work that goes on.

    Attributes:
        text: the work, such as `uploading the code to studio train-1`.
        began: its begin, in seconds since the epoch.
        path: the file that is sent, if any.
        pid: the process that works.
    """

    text: str
    began: float
    path: str | None
    pid: int

    def line(self) -> str:
        """Return the work as a line, with the part of its file that has been sent where that can be seen."""
        if self.path is None:
            return self.text
        path = Path(self.path)
        try:
            size = path.stat().st_size
        except OSError:
            return self.text
        read = bytes_read(self.pid, path)
        return f"{self.text} ({human_bytes(size) if read is None else f'{human_bytes(read)} of {human_bytes(size)}'})"


class Activities:
    """The present activities of this process for one run, kept in a file in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._lock = threading.Lock()
        self._present: list[Activity] = []

    @contextmanager
    def doing(self, text: str, sent: Path | None = None) -> Iterator[None]:
        """Show an activity for the length of the block; `sent` is the file that it uploads."""
        activity = Activity(text, time.time(), None if sent is None else str(sent), os.getpid())
        self._change(lambda: self._present.append(activity))
        try:
            yield
        finally:
            self._change(lambda: self._present.remove(activity))

    def _change(self, change: Callable[[], object]) -> None:
        with self._lock:
            change()
            # A view of the run is worth no failure of the run, for instance on a full disk.
            with suppress(OSError):
                if not self._present:
                    self._path.unlink(missing_ok=True)
                    return
                written = self._path.with_suffix(".new")
                write_private(written, json.dumps([asdict(activity) for activity in self._present]))
                written.replace(self._path)


def read_activities(folder: Path) -> list[Activity]:
    """Return the activities of a run's controller on this computer, the oldest first."""
    try:
        found = [Activity(**activity) for activity in json.loads((folder / _FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return []
    return [activity for activity in found if _is_alive(activity.pid)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
