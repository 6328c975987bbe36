"""An operation in a studio: a command that `agent.py` starts once, follows by offset, and stops on request."""

import base64
import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lightning_native import agent
from lightning_native.agent_protocol import (
    AGENT_FILE,
    ARCHIVE_SUFFIX,
    CODE,
    REMOTE_HOME,
    OperationSpec,
    Outcome,
    outputs_request,
    read_answer,
    specification_path,
)
from lightning_native.engine.packed import Packed
from lightning_native.engine.retry import THROUGH_AN_OUTAGE, RetryPolicy, retry
from lightning_native.engine.studios.batching import Batcher
from lightning_native.engine.studios.interpreter import Interpreter
from lightning_native.errors import CloudError, RefusedError
from lightning_native.lightning.cloud import StudioHandle

T = TypeVar("T")
AGENT_SOURCE = Path(agent.__file__)
POLL_SECONDS = 5.0
# The agent's words about an upload.
_DAMAGED = "did not arrive intact"
# The platform's words when a studio runs whose Python, pip and uv do not work yet, with whichever exit code.
_NOT_READY = "still setting things up"
# The longest wait for a studio that runs to become ready: minutes as a rule, more than 20 were seen.
READY_SECONDS = 1800.0
_READY_PAUSE = RetryPolicy(shortest=0.5, longest=10.0)
# The longest wait in a studio for an upload, which shows up there with a delay; then it is sent again, so often in all.
_ARRIVAL_SECONDS = 60
_UPLOADS = 2
# A command that ends within this time needs only one call.
_SHORT_SECONDS = 0.2


class NotReady(Exception):  # noqa: N818  not an error: the studio becomes ready by itself
    """The studio runs, and is still being set up."""


class DamagedUpload(Exception):  # noqa: N818  not an error: the upload is repeated
    """A file that the agent needs has not arrived intact."""


class LostCommandError(CloudError):
    """A studio has lost a command, because it stopped or restarted while the command ran."""


class Agent:
    """The client of `agent.py` in one studio. Every call may be repeated, so every call outlasts an outage.

    A failed call proves nothing about the command that it asks for.
    """

    def __init__(
        self,
        studio: StudioHandle,
        pause: Callable[[float], object] = time.sleep,
        note: Callable[[str], object] = lambda _: None,
        is_overdue: Callable[[], bool] = lambda: False,
    ) -> None:
        """Create the client of a studio.

        `pause` waits for some seconds between two tries, `note` records that the studio is not ready yet, `is_overdue`
        ends all repetitions.
        """
        self._is_overdue = is_overdue
        self._studio = studio
        self._pause = pause
        self._note = note
        self._noted = False
        self._starts = Batcher(self._start_all, calls_at_once=2, largest=32)
        self._polls = Batcher(self._poll_all, calls_at_once=4, largest=64)
        # Operations that are stopped together share one call.
        self._stops = Batcher(self._stop_all, calls_at_once=1, largest=256, gather_seconds=0.02)

    def install(self) -> None:
        """Upload `agent.py` and wait until it has arrived in the studio."""
        sha256 = hashlib.sha256(AGENT_SOURCE.read_bytes()).hexdigest()
        script = (
            f"i=0; until echo {sha256}'  '{AGENT_FILE} | sha256sum -c >/dev/null 2>&1; "
            f"do i=$((i+1)); [ $i -lt {_ARRIVAL_SECONDS * 10} ] || exit 1; sleep 0.1; done"
        )
        for _ in range(_UPLOADS):
            self.upload(AGENT_SOURCE, AGENT_FILE)
            output, code = self._retry(lambda: self._studio.run(["sh", "-c", script]))
            if code == 0:
                return
        raise CloudError(f"agent.py did not arrive intact in studio {self._studio.name!r}: {output or code}")

    def upload(self, path: Path, remote: str) -> None:
        """Upload a file to a path relative to the studio's home."""
        self._retry(lambda: self._studio.upload(path, remote))

    def call(self, *arguments: str) -> dict[str, Any]:
        """Call `agent.py` and return its answer.

        Raises:
            CloudError: the studio does not run any more, is not ready after half an hour, or no call got through for
                five minutes.
        """
        deadline, delay = time.monotonic() + READY_SECONDS, _READY_PAUSE.shortest
        while True:
            try:
                return self._retry(lambda: self._call_once(*arguments))
            except NotReady:
                self._note_not_ready()
                if time.monotonic() > deadline:
                    minutes = f"{READY_SECONDS / 60:g} minutes"
                    message = f"studio {self._studio.name!r} is still being set up by Lightning after {minutes}"
                    raise CloudError(f"{message}; a new studio may be ready sooner") from None
                if not self._studio_runs():
                    message = f"studio {self._studio.name!r} stopped before it was ready"
                    raise CloudError(message) from None
            self._pause(delay)
            delay = min(delay * 2, _READY_PAUSE.longest)

    def _note_not_ready(self) -> None:
        if not self._noted:
            self._noted = True
            self._note(f"studio {self._studio.name} is still being set up by Lightning; waiting until it is ready")

    def _call_once(self, *arguments: str) -> dict[str, Any]:
        output, code = self._studio.run([*agent.COMMAND, *arguments])
        answer = read_answer(output, code)
        if answer is None and _NOT_READY in output:
            raise NotReady
        if answer is None and _DAMAGED in output:
            raise DamagedUpload(output[-500:])
        if answer is None:
            problem = f"exit code {code}: {output[-500:]}"
            raise CloudError(f"agent.py {arguments[0]} failed in studio {self._studio.name!r}: {problem}")
        return answer

    def _retry(self, action: Callable[[], T]) -> T:
        def goes_on() -> bool:
            return not self._is_overdue() and self._studio_runs()

        try:
            return retry(action, THROUGH_AN_OUTAGE, pause=self._pause, goes_on=goes_on)
        except RefusedError:
            raise
        except CloudError as error:
            if self._studio_runs():
                raise
            raise LostCommandError(f"studio {self._studio.name!r} does not run any more: {error}") from error

    def _studio_runs(self) -> bool:
        try:
            # A studio that is restarted is pending for a while.
            return self._studio.is_up()
        except CloudError:
            return True

    def start(self, operation_id: str, specification: OperationSpec, offset: int) -> dict[str, Any]:
        """Start an operation, attach to it, or replay its end; return its state as `agent.py` reports it."""
        return self._starts.ask((operation_id, specification, offset))

    def poll(self, operation_id: str, offset: int) -> dict[str, Any]:
        """Wait up to five seconds for news about an operation, and return its state."""
        return self._polls.ask((operation_id, offset))

    def stop(self, operation_id: str, grace: float) -> None:
        """Ask an operation to end, and end it after `grace` seconds; an operation not yet started never starts."""
        self._stops.ask((operation_id, grace))

    def _start_all(self, operations: Sequence[tuple[str, OperationSpec, int]]) -> list[dict[str, Any]]:
        file = f"{operations[0][0]}.start"
        specifications = {operation: specification.to_json() for operation, specification, _ in operations}
        offsets = {operation: offset for operation, _, offset in operations}
        request = {"sha256": specification_sha256(specifications), "file": file, "operations": offsets}
        arguments = ("exchange", json.dumps({"start": request}), "--wait", str(_SHORT_SECONDS))
        answer = self._uploading(lambda: upload_specification(self.upload, file, specifications), *arguments)
        return [answer["answers"][operation] for operation in offsets]

    def _uploading(self, upload: Callable[[], object], *arguments: str) -> dict[str, Any]:
        """Upload what a call of `agent.py` needs, make the call, and return its answer; twice after damage.

        Raises:
            CloudError: the upload did not arrive intact, or the call failed.
        """
        for _ in range(_UPLOADS):
            upload()
            try:
                return self.call(*arguments)
            except DamagedUpload as damage:
                problem = str(damage)
        raise CloudError(f"an upload to studio {self._studio.name!r} arrives damaged: {problem}")

    def _poll_all(self, operations: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        request = {"poll": dict(operations)}
        answers = self.call("exchange", json.dumps(request), "--wait", str(POLL_SECONDS))["answers"]
        return [answers[operation] for operation, _ in operations]

    def _stop_all(self, operations: Sequence[tuple[str, float]]) -> list[None]:
        for grace in {grace for _, grace in operations}:
            names = [operation for operation, wanted in operations if wanted == grace]
            self.call("stop", *names, "--grace", str(grace))
        return [None] * len(operations)

    def unpack(self, packed: Packed, room: str = CODE, *, maybe_there: bool = False) -> str:
        """Upload an archive under its digest, unpack it there, and return the folder, relative to the home.

        `maybe_there`: check first whether an earlier run has unpacked it.
        """
        archive, sha256, destination = unpacking(packed, room)
        call = ("unpack", archive, sha256, destination)
        if not maybe_there or self.call(*call, "--only-if-there")["state"] == "missing":
            self._uploading(lambda: self.upload(packed.archive, archive.removeprefix("~/")), *call)
        return destination.removeprefix("~/")

    def interpreter(self) -> Interpreter:
        """Return the Python of the studio's environment.

        Raises:
            CloudError: the studio has none, or is not ready within half an hour.
        """
        answer = self.call("python")
        if "problem" in answer:
            raise CloudError(f"studio {self._studio.name!r} has no Python that answers: {answer['problem']}")
        return Interpreter(answer["executable"], answer["version"])

    def pack_outputs(self, code: str, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        """Pack the outputs that a lost command has left in the studio, and return what the agent tells of them.

        Raises:
            CloudError: the studio does not run, or the agent fails.
        """
        return self.call("outputs", outputs_request(code, wish))

    def forget(self, operation_id: str) -> None:
        """Stop and remove an operation with its output; one try."""
        self._call_once("forget", operation_id)


class Operation:
    """One operation: a command that runs once, however often it is started."""

    def __init__(self, agent_: Agent, studio: StudioHandle, operation_id: str) -> None:
        self._agent = agent_
        self._studio = studio
        self._id = operation_id
        self._stop_once = threading.Lock()

    def run(
        self,
        spec: OperationSpec,
        *,
        output: Callable[[bytes], object],
        offset: int = 0,
        started: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """Run the command to its end, and pass its output from byte `offset` on to `output` as it comes.

        Raises:
            LostCommandError: the studio lost the command.
            CloudError: no call got through for five minutes.

        """
        answer = self._agent.start(self._id, spec, offset)
        started()
        while True:
            if answer["data"]:
                output(base64.b64decode(answer["data"]))
            offset = answer["offset"]
            if answer["state"] == "done" and not answer["more"]:
                return Outcome.from_agent(answer["result"])
            if answer["state"] in ("lost", "unknown"):
                raise LostCommandError(
                    f"studio {self._studio.name!r} lost the command: it stopped or restarted meanwhile"
                )
            answer = self._agent.poll(self._id, offset)

    def stop(self, grace: float) -> None:
        """Ask the command to end, and end it after `grace` seconds; a command not yet started never starts."""
        if self._stop_once.acquire(blocking=False):
            try:
                self._agent.stop(self._id, grace)
            except BaseException:
                # It is to be asked for again.
                self._stop_once.release()
                raise


def unpacking(packed: Packed, room: str = CODE) -> tuple[str, str, str]:
    """Return the arguments with which an agent unpacks an archive: the archive's path, its SHA-256, the destination."""
    destination = f"~/{REMOTE_HOME}/{room}/{packed.digest[:32]}"
    return f"{destination}{ARCHIVE_SUFFIX}", packed.sha256, destination


def upload_specification(
    upload: Callable[[Path, str], object], operation_id: str, specification: Mapping[str, object]
) -> str:
    """Upload the specification of an operation under its id, and return its SHA-256.

    It holds the step's secrets. Here it is a file in memory, if the system has such files. In the studio it is removed
    as soon as it is read.
    """
    with _file_of(_content(specification)) as path:
        upload(path, specification_path(operation_id))
    return specification_sha256(specification)


@contextlib.contextmanager
def _file_of(content: bytes) -> Iterator[Path]:
    """Yield a temporary file: in memory if possible, so that it is gone even if this process is killed."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("specification"), "wb") as memory:
            memory.write(content)
            memory.flush()
            yield Path(f"/proc/self/fd/{memory.fileno()}")
    else:
        with tempfile.NamedTemporaryFile(prefix="lightning-native-") as file:
            file.write(content)
            file.flush()
            yield Path(file.name)


def specification_sha256(specification: Mapping[str, object]) -> str:
    """Return the SHA-256 that proves the upload of a specification."""
    return hashlib.sha256(_content(specification)).hexdigest()


def _content(specification: Mapping[str, object]) -> bytes:
    return json.dumps(specification).encode()
