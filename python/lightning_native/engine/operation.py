"""A command in a studio, driven through `agent.py`: started once, followed by offset, stopped when asked."""

import base64
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_native import agent
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import StudioHandle

AGENT_SOURCE = Path(agent.__file__)
REMOTE_HOME = ".lightning-native"
POLL_SECONDS = 5.0
# How long status calls may fail in a row before a step is given up: longer than an outage that heals by itself.
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `exit_code` is negative for the signal that ended it; `peak_memory` in bytes."""

    exit_code: int
    timed_out: bool
    stopped: bool
    seconds: float
    peak_memory: int

    @classmethod
    def from_agent(cls, result: Mapping[str, Any]) -> "Outcome":
        """Read the result that `agent.py` gives."""
        # One machine's clock, so that the difference means something.
        seconds = result["ended"] - result["started"]
        return cls(result["exit_code"], result["timed_out"], result["stopped"], seconds, result["peak_memory"])


class Agent:
    """`agent.py` in one studio."""

    def __init__(self, studio: StudioHandle) -> None:
        self._studio = studio

    def install(self) -> None:
        """Upload `agent.py` and wait until the studio sees it."""
        self._studio.upload(AGENT_SOURCE, f"{REMOTE_HOME}/agent.py")
        size = AGENT_SOURCE.stat().st_size
        script = (
            f'i=0; while [ "$(wc -c 2>/dev/null <{REMOTE_HOME}/agent.py)" != {size} ]; '
            "do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done"
        )
        output, code = self._studio.run(["sh", "-c", script])
        if code != 0:
            raise CloudError(f"agent.py did not arrive in studio {self._studio.name!r}: {output or code}")

    def call(self, *arguments: str) -> dict[str, Any]:
        """Call `agent.py` once and return its answer.

        Raises:
            CloudError: the call failed or its answer is not one.

        """
        output, code = self._studio.run(["python3", f"{REMOTE_HOME}/agent.py", *arguments])
        try:
            # Shell start-up files may print before the answer.
            answer: dict[str, Any] = json.loads(output.splitlines()[-1]) if code == 0 else {}
        except (ValueError, IndexError):
            answer = {}
        if not answer:
            problem = f"exit code {code}: {output[-500:]}"
            raise CloudError(f"agent.py {arguments[0]} failed in studio {self._studio.name!r}: {problem}")
        return answer

    def unpack(self, archive: Path, sha256: str, digest: str) -> str:
        """Upload an archive under its digest, unpack it there, and return the folder, relative to the home."""
        remote = f"{REMOTE_HOME}/code/{digest[:32]}"
        self._studio.upload(archive, f"{remote}.tar.gz")
        self.call("unpack", f"~/{remote}.tar.gz", sha256, f"~/{remote}")
        return remote

    def forget(self, prefix: str) -> None:
        """Stop and remove every operation whose id begins with `prefix`."""
        self.call("forget", prefix)


class Operation:
    """One command. However often it is started, it runs once."""

    def __init__(self, agent_: Agent, studio: StudioHandle, operation_id: str) -> None:
        self._agent = agent_
        self._studio = studio
        self._id = operation_id
        self._stop_once = threading.Lock()

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        scratch: Sequence[str] = (),
        timeout: float | None = None,
        output: Callable[[bytes], object],
        offset: int = 0,
        started: Callable[[], object] = lambda: None,
        pause: Callable[[float], object] = time.sleep,
    ) -> Outcome:
        """Run the command to its end, giving its output from byte `offset` on to `output` as it comes.

        Raises:
            CloudError: the studio lost the command, or no call got through for five minutes.

        """
        spec = {"argv": list(argv), "cwd": cwd, "env": dict(env), "scratch": list(scratch), "timeout": timeout}
        sha256 = self._upload_spec(json.dumps(spec).encode())
        answer = self._call(pause, "start", self._id, "--spec-sha256", sha256, "--offset", str(offset), "--wait", "0.2")
        started()
        while True:
            if answer["data"]:
                output(base64.b64decode(answer["data"]))
            offset = answer["offset"]
            if answer["state"] == "done" and not answer["more"]:
                return Outcome.from_agent(answer["result"])
            if answer["state"] in ("lost", "unknown"):
                raise CloudError(f"studio {self._studio.name!r} lost the command: it stopped or restarted meanwhile")
            answer = self._call(pause, "poll", self._id, "--offset", str(offset), "--wait", str(POLL_SECONDS))

    def stop(self, grace: float) -> None:
        """Ask the command to end, and end it after `grace` seconds; a command not yet started never starts."""
        if self._stop_once.acquire(blocking=False):
            self._call(time.sleep, "stop", self._id, "--grace", str(grace))

    def _upload_spec(self, content: bytes) -> str:
        # The file holds the step's secrets: 0600 here, and removed there as soon as the agent has read it.
        descriptor, name = tempfile.mkstemp(prefix="lightning-native-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            self._studio.upload(Path(name), f"{REMOTE_HOME}/ops/{self._id}.json")
        finally:
            Path(name).unlink()
        return hashlib.sha256(content).hexdigest()

    def _call(self, pause: Callable[[float], object], *arguments: str) -> dict[str, Any]:
        """Call the agent, again and again through an outage: a failed call says nothing about the command."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        delay = 0.5
        while True:
            try:
                return self._agent.call(*arguments)
            except CloudError:
                if time.monotonic() + delay > deadline or not self._studio_runs():
                    raise
            pause(delay)
            delay = min(delay * 2, 15.0)

    def _studio_runs(self) -> bool:
        try:
            return self._studio.is_running()
        except CloudError:
            return True
