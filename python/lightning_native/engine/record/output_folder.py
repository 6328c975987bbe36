"""The outputs of one step in the run's folder: a folder for each attempt, and the number of the next record."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

from lightning_native.engine.resource_names import outputs_name
from lightning_native.home import private_folder, write_private

_STATE = "next.json"


class OutputFolder:
    """The folder of one step's outputs below the run's folder.

    It appears with the first outputs. The folder of an attempt is complete, or not there.
    """

    def __init__(self, run_folder: Path, step: str) -> None:
        self.path = run_folder / "outputs" / outputs_name(step)

    def attempt(self, number: int) -> Path:
        """Return the folder of an attempt, whether or not it exists."""
        return self.path / str(number)

    def attempts(self) -> list[tuple[str, Path]]:
        """Return the attempts with outputs, oldest first, each with its folder.

        `2` is the second attempt, `2.1` the one that began as the second before the run was resumed.
        """
        names = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        known = [name for name in names if re.fullmatch(r"\d+(\.\d+)?", name)]
        return [(name, self.path / name) for name in sorted(known, key=_age)]

    def newest(self) -> tuple[int, Path] | None:
        """Return the newest attempt with outputs, and its folder."""
        attempts = self.attempts()
        return (int(attempts[-1][0].partition(".")[0]), attempts[-1][1]) if attempts else None

    def next_record(self) -> int | None:
        """Return the number of the store's record that is read next; None: the step has no store that is known."""
        try:
            number = json.loads((self.path / _STATE).read_text())["next"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return number if isinstance(number, int) else None

    def remember(self, next_record: int) -> None:
        """Record that all records before this one have been read."""
        self._create()
        written = self.path / f".{_STATE}"
        write_private(written, json.dumps({"next": next_record}))
        written.replace(self.path / _STATE)

    def room(self) -> Path:
        """Return a new empty folder for what arrives, in place of one that a killed process has left."""
        self._create()
        room = self.path / ".arriving"
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir(mode=0o700)
        return room

    def _create(self) -> None:
        private_folder(self.path.parent)
        private_folder(self.path)

    def put(self, number: int, arrived: Path) -> None:
        """Let a folder become that of an attempt, in place of its earlier outputs."""
        target, old = self.attempt(number), self.path / ".old"
        shutil.rmtree(old, ignore_errors=True)
        with suppress(FileNotFoundError):
            target.rename(old)
        arrived.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def set_aside(self, number: int) -> None:
        """Keep the outputs of an attempt beside those that an attempt of the same number will have."""
        path, aside = self.attempt(number), 1
        if path.exists():
            while (target := self.path / f"{number}.{aside}").exists():
                aside += 1
            path.rename(target)


def _age(name: str) -> tuple[int, float]:
    number, _, aside = name.partition(".")
    return int(number), float(aside) if aside else float("inf")
