"""A job in memory, and the agent that is its command."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.agent import result_mark
from lightning_native.agent_protocol import REMOTE_HOME, OperationSpec, specification_path
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import JobEnd, JobRequest, JobState
from lightning_native.lightning.memory.process import Behaviour, Process, proved

if TYPE_CHECKING:
    from lightning_native.lightning.memory.cloud import MemoryCloud


def agent_words(request: JobRequest) -> list[str]:
    """Return the words of a job's command from the agent's verb on."""
    words = shlex.split(request.command or "")
    if "job" not in words or not (request.studio or request.mounts):
        raise CloudError(f"job {request.name!r} does not call the agent, and nothing else can run here")
    return words[words.index("job") :]


class _AgentJob:
    """The agent as a job's command: it advances whenever its state is read, and its output ends with a result."""

    def __init__(self, cloud: "MemoryCloud", request: JobRequest, variables: Mapping[str, str]) -> None:
        words = agent_words(request)
        options = dict(zip(words[2::2], words[3::2], strict=True))
        original = options.get("--job-name", variables["LIGHTNING_JOB_NAME"])
        self._command = cloud.command
        self._variables = variables
        self._spec: OperationSpec | None = None
        self._retries = 0
        self._attempt = 1
        self._stopped = False
        self.state: JobState = "running"
        self.output = ""
        if original != variables["LIGHTNING_JOB_NAME"]:
            output = f"this job is a duplicate of {original}, which runs the command"
            self._process = Process(Behaviour(1, output))
            return
        try:
            self._spec = _spec(cloud, request, words[1], options)
        except CloudError as error:
            # The agent waits for the specification.
            self._process = Process(Behaviour(1, str(error), looks=1))
            return
        self._retries = int((self._spec.retry or {"count": 0})["count"])
        self._process = self._begin(self._spec)

    def _begin(self, spec: OperationSpec) -> Process:
        return Process(self._command(spec.argv, {**self._variables, **spec.env}))

    def look(self) -> None:
        result = self._process.look() if self.state == "running" else None
        if result is None:
            return
        self.output += self._process.output
        if self._spec is not None:
            mark = result_mark(self._spec.word or "", self._attempt)
            self.output += f"\n{mark}{json.dumps(result)}\n"
            if result["exit_code"] and self._retries and not self._stopped:
                self._retries -= 1
                self._attempt += 1
                self._process = self._begin(self._spec)
                return
        self.state = "stopped" if self._stopped else "failed" if result["exit_code"] else "completed"

    def stop(self) -> None:
        if self.state == "running":
            self._stopped = True
            self._process.stop()
            self.look()


def _spec(cloud: "MemoryCloud", request: JobRequest, operation: str, options: Mapping[str, str]) -> OperationSpec:
    files, path = cloud.drive, specification_path(operation)
    if request.studio is not None:
        studio = cloud.studios.get(request.studio)
        files = studio.files if studio else {}
    else:
        path = path.replace(REMOTE_HOME, next(iter(request.mounts.values())), 1)
    content = proved(files.get(path, b""), options["--spec-sha256"])
    if "--step" in options:
        return OperationSpec(**content["steps"][options["--step"]])
    spec = OperationSpec(**content)
    if spec.mounted:
        del files[path]
    return spec


class MemoryJob:
    """One job."""

    def __init__(self, cloud: "MemoryCloud", name: str, request: JobRequest, variables: Mapping[str, str]) -> None:
        self.name = name
        self._cloud = cloud
        self._agent = _AgentJob(cloud, request, variables)

    def state(self) -> JobState:
        """Return the job's state."""
        with self._cloud.lock:
            self._check_there()
            self._agent.look()
            return self._agent.state

    def end(self) -> JobEnd:
        """Return that the job was never interrupted, and has begun."""
        self._check_there()
        return JobEnd("", interrupted=False, has_begun=True)

    def download(self, remote_path: str, path: Path) -> bool:
        """Return False, because commands in memory write no files."""
        del remote_path, path
        self._check_there()
        return False

    def output(self, rank: int | None = None) -> str:  # noqa: ARG002  one machine runs for all
        """Return the job's output so far."""
        self._check_there()
        return self._agent.output.removesuffix("\n")

    def cost(self) -> float:
        """Return zero, because nothing costs anything here."""
        self._check_there()
        return 0.0

    def stop(self) -> None:
        """End the job."""
        with self._cloud.lock:
            self._check_there()
            self._agent.stop()

    def release(self) -> None:
        """Stop and delete the job."""
        with self._cloud.lock:
            if self.is_there():
                self._agent.stop()
                del self._cloud.jobs[self.name]

    def is_there(self) -> bool:
        """Return whether the job exists; after its deletion another one may have its name."""
        return self._cloud.jobs.get(self.name) is self

    def _check_there(self) -> None:
        if not self.is_there():
            raise CloudError(f"job {self.name!r} was deleted")
