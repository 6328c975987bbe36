"""The commands of a cloud in memory, and the proof of what was uploaded for them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lightning_native.errors import CloudError
from lightning_native.lightning.errors import cloud_errors

_TERMINATED = -15


@dataclass(frozen=True)
class Behaviour:
    """The behaviour of a command.

    Attributes:
        exit_code: its exit code.
        output: its output.
        looks: the number of times that its state is read while it runs; None: it runs until it is stopped.
    """

    exit_code: int = 0
    output: str = ""
    looks: int | None = 0


Command = Callable[[Sequence[str], Mapping[str, str]], Behaviour]


def do_nothing(_argv: Sequence[str], _environment: Mapping[str, str]) -> Behaviour:
    """Return the behaviour of a command that succeeds at once."""
    return Behaviour()


class Process:
    """A started command, which advances whenever its state is read."""

    def __init__(self, behaviour: Behaviour, *, stopped: bool = False) -> None:
        self._behaviour = behaviour
        self._looks = 0
        self._stopped = stopped

    @property
    def output(self) -> str:
        """The output of the command."""
        return self._behaviour.output

    @property
    def has_ended(self) -> bool:
        """Whether the command has ended."""
        looks = self._behaviour.looks
        return self._stopped or (looks is not None and self._looks > looks)

    def look(self) -> dict[str, Any] | None:
        """Read the state: return the result once the command has ended."""
        self._looks += 1
        if self._stopped:
            return _result(_TERMINATED, stopped=True)
        return _result(self._behaviour.exit_code) if self.has_ended else None

    def stop(self) -> None:
        """End the command, unless it has ended."""
        self._stopped = self._stopped or not self.has_ended


def _result(exit_code: int, *, stopped: bool = False) -> dict[str, Any]:
    zero = {"timed_out": False, "peak_memory": 0, "started": 0.0, "ended": 0.0}
    return {"exit_code": exit_code, "stopped": stopped, **zero}


def content_of(path: Path) -> bytes:
    """Return the content of a file to upload."""
    with cloud_errors(f"upload {path}"):
        return path.read_bytes()


@lru_cache(maxsize=8)
def proved(content: bytes, sha256: str) -> dict[str, Any]:
    """Return the specifications in an upload whose SHA-256 is known."""
    check_intact(content, sha256)
    specification: dict[str, Any] = json.loads(content)
    return specification


def check_intact(content: bytes, sha256: str) -> None:
    """Refuse an upload whose SHA-256 differs."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CloudError("an upload did not arrive intact")
