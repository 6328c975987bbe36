"""A cloud in the memory of this process: no machine, no file, no network, the same answers as the real one.

It understands the few commands that the engine sends to studios and jobs. A function decides the result of each step.
Nothing happens by itself: a command, a job or a pipeline advances whenever its state is read.
"""

import base64
import hashlib
import json
import platform
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lightning_native.agent import COMMAND, result_mark
from lightning_native.agent_protocol import REMOTE_HOME, OperationSpec, specification_path
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import (
    JobRequest,
    JobState,
    PipelineRequest,
    PipelineStatus,
    PipelineStepRequest,
    PipelineStepState,
    PipelineStepStatus,
    ScheduleHandle,
)

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


class _Process:
    """A started command, which advances whenever its state is read."""

    def __init__(self, command: Command, specification: OperationSpec) -> None:
        self._behaviour = command(specification.argv, specification.env)
        self._looks = 0
        self._stopped = False

    @property
    def output(self) -> str:
        return self._behaviour.output

    def look(self) -> dict[str, Any] | None:
        """Read the state: return the result once the command has ended."""
        self._looks += 1
        looks = self._behaviour.looks
        if self._stopped:
            return _result(_TERMINATED, stopped=True)
        return None if looks is None or self._looks <= looks else _result(self._behaviour.exit_code)

    def stop(self) -> None:
        self._stopped = self._stopped or self._behaviour.looks is None or self._looks <= self._behaviour.looks


def _result(exit_code: int, *, stopped: bool = False) -> dict[str, Any]:
    zero = {"timed_out": False, "peak_memory": 0, "started": 0.0, "ended": 0.0}
    return {"exit_code": exit_code, "stopped": stopped, **zero}


class MemoryCloud:
    """Studios, jobs and pipelines that exist as long as this object does.

    Args:
        command: returns a command's behaviour from its arguments and its variables; called once for each attempt.
    """

    def __init__(self, command: Command = do_nothing) -> None:
        self.command = command
        self.studios: dict[str, MemoryStudio] = {}
        self.jobs: dict[str, MemoryJob] = {}
        self.pipelines: dict[str, MemoryPipeline] = {}
        self.drive: dict[str, bytes] = {}
        self.lock = threading.RLock()

    @property
    def machine_python(self) -> str:
        """The version of this process's Python."""
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    def find_studio(self, name: str) -> "MemoryStudio | None":
        """Return the studio of this name, whether or not it runs."""
        return self.studios.get(name)

    def find_studios(self, name: str) -> "list[MemoryStudio]":
        """Return the studio of this name, if there is one."""
        studio = self.studios.get(name)
        return [studio] if studio is not None else []

    def studio_names(self) -> list[str]:
        """Return the names of all studios."""
        return list(self.studios)

    def create_studio(self, name: str, *, ours: bool = True) -> "MemoryStudio":
        """Return a studio of this name, created if it does not exist; it is not started."""
        del ours
        with self.lock:
            return self.studios.setdefault(name, MemoryStudio(self, name))

    def upload_to_drive(self, path: Path, remote_path: str) -> None:
        """Keep a file's content."""
        self.drive[remote_path] = path.read_bytes()

    def remove_from_drive(self, remote_path: str) -> None:
        """Remove a folder."""
        for path in [path for path in self.drive if path.startswith(f"{remote_path}/")]:
            del self.drive[path]

    def hourly_cost(self, machine: str) -> float | None:
        """Return None, because there are no machines."""
        del machine
        return None

    def find_jobs(self, name: str) -> "list[MemoryJob]":
        """Return the job submitted under a name, if there is one."""
        job = self.jobs.get(name)
        return [job] if job is not None else []

    def run_job(self, request: JobRequest) -> "MemoryJob":
        """Submit a job."""
        with self.lock:
            job = MemoryJob(self, request.name, request)
            self.jobs[request.name] = job
            return job

    def find_pipeline(self, name: str) -> "MemoryPipeline | None":
        """Return the pipeline of this name."""
        return self.pipelines.get(name)

    def create_pipeline(self, request: PipelineRequest) -> "MemoryPipeline":
        """Create a pipeline."""
        with self.lock:
            pipeline = self.pipelines[request.name] = MemoryPipeline(self, request)
            return pipeline

    def schedules(self) -> list[ScheduleHandle]:
        """Return no schedules, because time does not pass here."""
        return []


class MemoryStudio:
    """One studio: its files, and the operations of an agent that is always ready."""

    def __init__(self, cloud: MemoryCloud, name: str) -> None:
        self.name = name
        self.files: dict[str, bytes] = {}
        self._cloud = cloud
        self._running = False
        self._machine: str | None = None
        self._operations: dict[str, _Process] = {}

    def start(self, machine: str | None) -> None:
        """Start the studio."""
        self._machine = machine or self._machine
        self._running = True

    def is_running(self) -> bool:
        """Return whether the studio runs now."""
        return self._running

    def settle(self) -> None:
        """Do nothing, because starts and stops last no time here."""

    def is_up(self) -> bool:
        """Return whether the studio runs now."""
        return self._running

    def runs_on(self, machine: str) -> bool:
        """Return whether the studio was started on a machine."""
        return self._machine == machine

    def upload(self, path: Path, remote_path: str) -> None:
        """Keep a file's content."""
        self.files[remote_path] = path.read_bytes()

    def remove(self, remote_path: str) -> None:
        """Remove a file."""
        self.files.pop(remote_path, None)

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it on request."""
        self._running = False
        self._operations.clear()
        if delete:
            self._cloud.studios.pop(self.name, None)

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Answer as the agent does; any other command does nothing."""
        if not self._running:
            raise CloudError(f"studio {self.name!r} does not run")
        verb, arguments = argv[len(COMMAND) : len(COMMAND) + 1], argv[len(COMMAND) + 1 :]
        if not verb or tuple(argv[: len(COMMAND)]) != COMMAND:
            return "", 0
        with self._cloud.lock:
            return json.dumps(self._answer(verb[0], arguments)), 0

    def _answer(self, verb: str, arguments: Sequence[str]) -> Any:
        if verb == "exchange":
            return {"answers": self._exchange(json.loads(arguments[0]))}
        if verb == "stop" and arguments[0] in self._operations:
            self._operations[arguments[0]].stop()
        if verb == "python":
            return {"executable": sys.executable, "version": platform.python_version()}
        if verb == "leave":
            return self._others(arguments[0], stays="--stay" in arguments, owes="--owes" in arguments)
        return {"state": "done"}

    def _others(self, run: str, *, stays: bool, owes: bool) -> dict[str, Any]:
        others = sorted({name.split(".")[0] for name in self._operations} - {run})
        for operation in [name for name in self._operations if not stays and name.startswith(f"{run}.")]:
            del self._operations[operation]
        return {"others": others, "stop": owes and not others}

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
        specifications = _proved(content, together["sha256"]) if new else {}
        for operation in new:
            self._operations[operation] = _Process(self._cloud.command, OperationSpec(**specifications[operation]))

    def _state(self, operation: str, offset: int) -> dict[str, Any]:
        process = self._operations.get(operation)
        result = process.look() if process else None
        data = process.output.encode() if process and result else b""
        state = "unknown" if process is None else "done" if result else "running"
        shown = {"offset": max(offset, len(data)), "data": base64.b64encode(data[offset:]).decode(), "more": False}
        return {"state": state, "result": result, **shown}


class _AgentJob:
    """The agent as a job's command: it advances whenever its state is read, and its output ends with a result."""

    def __init__(self, cloud: MemoryCloud, request: JobRequest) -> None:
        words = shlex.split(request.command or "")
        if "job" not in words or not (request.studio or request.mounts):
            raise CloudError(f"job {request.name!r} does not call the agent, and nothing else can run here")
        words = words[words.index("job") :]
        operation, sha256 = words[1], words[words.index("--spec-sha256") + 1]
        files, path = cloud.drive, specification_path(operation)
        if request.studio is not None:
            files = cloud.studios[request.studio].files
        else:
            path = path.replace(REMOTE_HOME, next(iter(request.mounts.values())), 1)
        content = _proved(files.get(path, b""), sha256)
        together = "--step" in words
        specification = OperationSpec(**(content["steps"][words[words.index("--step") + 1]] if together else content))
        if specification.mounted and not together:
            del files[path]
        self._cloud = cloud
        self._specification = specification
        self._retries = (specification.retry or {"count": 0})["count"]
        self._process = _Process(cloud.command, specification)
        self._attempt = 1
        self._stopped = False
        self.state: JobState = "running"
        self.output = ""

    def look(self) -> None:
        result = self._process.look() if self.state == "running" else None
        if result is None:
            return
        mark = result_mark(self._specification.word or "", self._attempt)
        self.output += f"{self._process.output}\n{mark}{json.dumps(result)}\n"
        if result["exit_code"] and self._retries and not self._stopped:
            self._retries -= 1
            self._attempt += 1
            self._process = _Process(self._cloud.command, self._specification)
            return
        self.state = "stopped" if self._stopped else "failed" if result["exit_code"] else "completed"

    def stop(self) -> None:
        if self.state == "running":
            self._stopped = True
            self._process.stop()
            self.look()


class MemoryJob:
    """One job."""

    def __init__(self, cloud: MemoryCloud, name: str, request: JobRequest) -> None:
        self.name = name
        self._cloud = cloud
        self._agent = _AgentJob(cloud, request)

    def state(self) -> JobState:
        """Return the job's state."""
        with self._cloud.lock:
            self._agent.look()
            return self._agent.state

    def output(self) -> str:
        """Return the job's output so far."""
        return self._agent.output

    def cost(self) -> float:
        """Return zero, because nothing costs anything here."""
        return 0.0

    def stop(self) -> None:
        """End the job."""
        with self._cloud.lock:
            self._agent.stop()

    def release(self) -> None:
        """Stop and delete the job."""
        self.stop()
        self._cloud.jobs.pop(self.name, None)


class MemoryPipeline:
    """One pipeline, whose steps begin, advance and end when its status is read."""

    def __init__(self, cloud: MemoryCloud, request: PipelineRequest) -> None:
        self.name = self.id = request.name
        self.created = 0.0
        self._cloud = cloud
        self._request = request
        self._states: dict[str, PipelineStepState] = {step.job.name: "pending" for step in request.steps}
        self._stopped = False

    def status(self) -> PipelineStatus:
        """Advance every step of the pipeline, and return its status."""
        with self._cloud.lock:
            for step in self._request.steps:
                self._go_on(step)
            steps = {name: PipelineStepStatus(state, self._job_of(name)) for name, state in self._states.items()}
            return PipelineStatus(self._state(), steps)

    def _state(self) -> JobState:
        states = set(self._states.values())
        if states & {"pending", "running"}:
            return "running"
        return "stopped" if self._stopped else "completed" if states == {"completed"} else "failed"

    def _job_of(self, step: str) -> str | None:
        name = f"{self.name}-{step}"
        return name if name in self._cloud.jobs else None

    def _go_on(self, step: PipelineStepRequest) -> None:
        name = step.job.name
        job, state = f"{self.name}-{name}", self._states[name]
        if state == "pending":
            upstream = {self._states[other] for other in step.wait_for}
            failed = "failed" in self._states.values() and self._request.stop_on_failure
            if self._stopped:
                self._states[name] = "stopped"
            elif upstream & {"failed", "stopped", "skipped"} or failed:
                self._states[name] = "skipped"
            elif upstream <= {"completed"}:
                self._cloud.jobs[job] = MemoryJob(self._cloud, job, step.job)
                self._states[name] = "running"
        elif state == "running":
            self._states[name] = self._cloud.jobs[job].state()

    def job(self, name: str) -> MemoryJob:
        """Return a job of the pipeline."""
        return self._cloud.jobs[name]

    def stop(self) -> None:
        """End the pipeline with its jobs."""
        with self._cloud.lock:
            self._stopped = True
            for step in self._request.steps:
                job = self._cloud.jobs.get(f"{self.name}-{step.job.name}")
                if job is not None:
                    job.stop()

    def studio_names(self) -> list[str]:
        """Return the names of the studios from which its steps start."""
        studios = dict.fromkeys(step.job.studio for step in self._request.steps)
        return [studio for studio in studios if studio in self._cloud.studios]

    def schedule(self, name: str, cron: str, timezone: str) -> ScheduleHandle:
        """Refuse, because time does not pass here."""
        raise CloudError(f"schedule {name!r} ({cron} {timezone}) will never fire: time does not pass in this cloud")

    def runs(self) -> "list[MemoryPipeline]":
        """Return no runs, because there are no schedules."""
        return []

    def release(self) -> None:
        """Stop and delete the pipeline with its jobs."""
        self.stop()
        with self._cloud.lock:
            for step in self._request.steps:
                self._cloud.jobs.pop(f"{self.name}-{step.job.name}", None)
            self._cloud.pipelines.pop(self.name, None)


@lru_cache(maxsize=8)
def _proved(content: bytes, sha256: str) -> dict[str, Any]:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CloudError("the upload of a specification did not arrive intact")
    specification: dict[str, Any] = json.loads(content)
    return specification
