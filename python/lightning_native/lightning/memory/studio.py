"""A studio in memory, and the agent in it."""

import base64
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_native.agent import COMMAND
from lightning_native.agent_protocol import OPERATIONS, OperationSpec, specification_path
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.errors import CloudError
from lightning_native.lightning.errors import cloud_errors
from lightning_native.lightning.machines import canonical_machine, same_machine
from lightning_native.lightning.memory.process import Behaviour, Process, check_intact, content_of, proved
from lightning_native.lightning.verified_upload import upload_verified

if TYPE_CHECKING:
    from lightning_native.lightning.memory.cloud import MemoryCloud


class MemoryStudio:
    """One studio: its files, and the operations of an agent that is always ready."""

    def __init__(self, cloud: "MemoryCloud", name: str, cloud_account: str | None = None) -> None:
        self.name = name
        self.cloud_account = cloud_account
        self.files: dict[str, bytes] = {}
        self._cloud = cloud
        self._machine: str | None = None
        self._starts = 0
        self._operations: dict[str, Process] = {}
        self._unpacked: set[str] = set()
        # The runs that owe the studio's stop.
        self._heirs: list[str] = []

    def start(self, machine: str | None, timeout: float | None = None) -> None:  # noqa: ARG002  it takes no time here
        """Start the studio."""
        self._check_there()
        self._starts += self._machine is None
        self._machine = canonical_machine(machine) if machine else self._machine or DEFAULT_MACHINE

    def is_running(self) -> bool:
        """Return whether the studio runs now."""
        self._check_there()
        return self._machine is not None

    def settle(self) -> None:
        """Do nothing, because starts and stops last no time here."""
        self._check_there()

    def is_up(self) -> bool:
        """Return whether the studio runs now."""
        return self.is_running()

    def machine_id(self) -> str:
        """Return the number of the studio's start, as the id of its machine."""
        self._check_there()
        return str(self._starts) if self._machine is not None else ""

    def runs_on(self, machine: str) -> bool:
        """Return whether the studio runs on `machine` now."""
        self._check_there()
        with cloud_errors(f"see what studio {self.name!r} runs on"):
            return same_machine(machine, self._machine or machine) and self._machine is not None

    def machine(self) -> str | None:
        """Return the name of the machine that the studio runs on now; None if it does not run."""
        self._check_there()
        return self._machine

    def message(self) -> str:
        """Return an empty text, because nothing ends a studio here."""
        return ""

    def upload(self, path: Path, remote_path: str) -> None:
        """Keep a file's content."""
        content = content_of(path)

        def store() -> None:
            with self._cloud.lock:
                self._check_there()
                self.files[remote_path] = self._cloud.arriving(content)

        upload_verified(path, remote_path, store, partial(self.download, remote_path))

    def download(self, remote_path: str, path: Path) -> bool:
        """Write a file's content, if there is one."""
        with self._cloud.lock:
            content = self.files.get(remote_path) if self._is_there() else None
        return content is not None and path.write_bytes(content) >= 0

    def remove(self, remote_path: str) -> None:
        """Remove a file."""
        with self._cloud.lock:
            self.files.pop(remote_path, None)

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it on request."""
        with self._cloud.lock:
            self._machine = None
            for process in self._operations.values():
                process.stop()
            if delete and self._is_there():
                del self._cloud.studios[self.name]

    def _is_there(self) -> bool:
        # Another studio may have its name by now.
        return self._cloud.studios.get(self.name) is self

    def _check_there(self) -> None:
        if not self._is_there():
            raise CloudError(f"studio {self.name!r} was deleted")

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Answer as the agent does; any other command does nothing."""
        if not self.is_running():
            raise CloudError(f"studio {self.name!r} does not run")
        verb, arguments = argv[len(COMMAND) : len(COMMAND) + 1], argv[len(COMMAND) + 1 :]
        if not verb or tuple(argv[: len(COMMAND)]) != COMMAND:
            return "", 0
        with self._cloud.lock:
            answer = self._answer(verb[0], arguments)
        return (json.dumps(answer), 0) if answer else (f"the agent in memory has no {verb[0]!r}", 2)

    def _answer(self, verb: str, arguments: Sequence[str]) -> dict[str, Any] | None:
        if verb == "exchange":
            return {"answers": self._exchange(json.loads(arguments[0]))}
        if verb == "stop":
            operations = arguments[: arguments.index("--grace")] if "--grace" in arguments else arguments
            return {"answers": {operation: self._stop(operation) for operation in operations}}
        if verb == "unpack":
            return self._unpack(*arguments[:3], only_if_there="--only-if-there" in arguments)
        if verb == "forget":
            return {"forgotten": self._forget(arguments[0])}
        if verb == "leave":
            return self._leave(arguments[0], stays="--stay" in arguments, owes="--owes" in arguments)
        if verb == "budget":
            return {"state": "done"}
        if verb == "python":
            folder = str(Path(sys.executable).parent)
            return {"executable": sys.executable, "version": platform.python_version(), "bin": folder}
        return None

    def _stop(self, operation: str) -> dict[str, Any]:
        # An operation that has not started never will.
        process = self._operations.setdefault(operation, Process(Behaviour(), stopped=True))
        process.stop()
        return {"state": "done"}

    def _unpack(self, archive: str, sha256: str, destination: str, *, only_if_there: bool) -> dict[str, Any]:
        if destination not in self._unpacked:
            if only_if_there:
                return {"state": "missing"}
            check_intact(self.files.get(archive.removeprefix("~/"), b""), sha256)
            self._unpacked.add(destination)
        self.files.pop(archive.removeprefix("~/"), None)
        return {"state": "done"}

    def _forget(self, prefix: str) -> int:
        operations = [operation for operation in self._operations if operation.startswith(prefix)]
        files = [file for file in self.files if file.startswith(f"{OPERATIONS}/{prefix}")]
        for operation in operations:
            del self._operations[operation]
        for file in files:
            del self.files[file]
        return len(operations) + len(files)

    def _leave(self, run: str, *, stays: bool, owes: bool) -> dict[str, Any]:
        running = {name.split(".")[0] for name, process in self._operations.items() if not process.has_ended}
        others = sorted(running - {run})
        if stays:
            return {"others": others}
        forgotten = self._forget(f"{run}.")
        owes = owes or run in self._heirs
        if owes:
            self._heirs = others
        return {"others": others, "stop": owes and not others, "forgotten": forgotten}

    def _exchange(self, request: Mapping[str, Any]) -> dict[str, Any]:
        offsets = dict(request.get("poll") or {})
        together = request.get("start")
        if together:
            self._start(together)
            offsets.update(together["operations"])
        return {operation: self._state(operation, offset) for operation, offset in offsets.items()}

    def _start(self, together: Mapping[str, Any]) -> None:
        new = [operation for operation in together["operations"] if operation not in self._operations]
        content = self.files.pop(specification_path(together["file"]), b"")
        specifications = proved(content, together["sha256"]) if new else {}
        for operation in new:
            spec = OperationSpec(**specifications[operation])
            self._operations[operation] = Process(self._cloud.command(spec.argv, spec.env))

    def _state(self, operation: str, offset: int) -> dict[str, Any]:
        process = self._operations.get(operation)
        result = process.look() if process else None
        data = process.output.encode() if process and result else b""
        state = "unknown" if process is None else "done" if result else "running"
        shown = {"offset": max(offset, len(data)), "data": base64.b64encode(data[offset:]).decode(), "more": False}
        return {"state": state, **shown, **({"result": result} if result else {})}
