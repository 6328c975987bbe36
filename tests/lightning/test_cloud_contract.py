"""The contract of a cloud: the engine's assumptions, which the cloud in memory and the real one both satisfy.

The real one is `LightningCloud` through the unmodified SDK, against the local cloud. Where the two may differ, a test
accepts both, and names the difference:

- A job in memory is never pending, and its output arrives at its end; a pending job of the real cloud has no output.
- A command in memory is one of the agent's or nothing, so every studio and job in this file calls the agent.
- There are no machines in memory, so prices are unknown and jobs cost nothing.
- Schedules in memory never fire. `tests/engine/test_schedules.py` has those of the real cloud fire.
"""

import hashlib
import inspect
import io
import json
import re
import shlex
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from lightning_native.agent import COMMAND
from lightning_native.agent_protocol import REMOTE_HOME, OperationSpec, Outcome
from lightning_native.engine.placements.job_output import split_attempts
from lightning_native.engine.studios.agent_client import AGENT_SOURCE, Agent, Operation, upload_specification
from lightning_native.errors import CloudError, LightningNativeError
from lightning_native.lightning.cloud import (
    Cloud,
    JobHandle,
    JobRequest,
    JobState,
    PipelineHandle,
    PipelineRequest,
    PipelineStatus,
    PipelineStepRequest,
    PipelineStepStatus,
    ScheduleHandle,
    StudioHandle,
)
from lightning_native.lightning.memory import Behaviour, MemoryCloud
from lightning_native.lightning.session import connect

# `LightningCloud` ignores these warnings of the SDK, and pytest forgets that with the test that created it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Job name .* was already taken:UserWarning"),
    pytest.mark.filterwarnings("ignore:If '.*' is a directory, it may be empty:UserWarning"),
]

GREET = ("sh", "-c", "echo hello")
FAIL = ("sh", "-c", "echo oh; exit 3")
WAIT = ("sleep", "900")
SHOW = ("sh", "-c", 'echo "$LIGHTNING_JOB_NAME $LIGHTNING_PIPELINE_ID"')
COMMANDS = {"greet": GREET, "fail": FAIL, "wait": WAIT, "show": SHOW}
WORD = "a secret word"
FINAL: tuple[JobState, ...] = ("completed", "failed", "stopped")
PATIENCE_SECONDS = 240.0


def behave(argv: Sequence[str], environment: Mapping[str, str]) -> Behaviour:
    """Return the behaviour in memory that equals a command's on a machine."""
    shown = f"{environment.get('LIGHTNING_JOB_NAME')} {environment.get('LIGHTNING_PIPELINE_ID')}\n"
    return {
        GREET: Behaviour(output="hello\n"),
        FAIL: Behaviour(exit_code=3, output="oh\n"),
        WAIT: Behaviour(looks=None),
        SHOW: Behaviour(output=shown),
    }[tuple(argv)]


@pytest.fixture(scope="module", params=["memory", "local cloud"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    if request.param == "memory":
        return MemoryCloud(behave)
    request.getfixturevalue("lightning_cloud")
    return connect()


@pytest.fixture
def name() -> str:
    return new_name()


def new_name() -> str:
    return f"contract-{uuid.uuid4().hex}"


@pytest.fixture
def studio(cloud: Cloud, name: str) -> Iterator[StudioHandle]:
    studio = cloud.create_studio(name)
    yield studio
    studio.release(delete=True)


@pytest.fixture
def agent(studio: StudioHandle) -> Agent:
    """Return the agent in a studio that runs."""
    studio.start(None)
    agent = Agent(studio)
    agent.install()
    return agent


class Template:
    """A studio with the agent and the specification of jobs that run `COMMANDS`."""

    def __init__(self, studio: StudioHandle) -> None:
        self.studio = studio
        studio.upload(AGENT_SOURCE, f"{REMOTE_HOME}/agent.py")
        steps = {name: {"argv": argv, "word": WORD} for name, argv in COMMANDS.items()}
        self._sha256 = upload_specification(studio.upload, "jobs", {"steps": steps})

    def job(self, name: str, command: str, *arguments: str, file: str = "jobs") -> JobRequest:
        call = (*COMMAND, "job", file, "--spec-sha256", self._sha256, "--step", command, *arguments)
        return JobRequest(name, "CPU", shlex.join(call), self.studio.name)

    def pipeline(
        self, name: str, *steps: tuple[str, tuple[str, ...]], stop_on_failure: bool = False
    ) -> PipelineRequest:
        """Return a pipeline of steps, which are named by their commands, each with the steps that it waits for."""
        requests = (PipelineStepRequest(self.job(step, step.split("-")[0]), wait_for) for step, wait_for in steps)
        return PipelineRequest(name, tuple(requests), stop_on_failure)


@pytest.fixture(scope="module")
def template(cloud: Cloud) -> Iterator[Template]:
    studio = cloud.create_studio(new_name())
    yield Template(studio)
    studio.release(delete=True)


@pytest.fixture
def pipelines(cloud: Cloud) -> Iterator[Callable[[PipelineRequest], PipelineHandle]]:
    """Create pipelines, and release them at the end."""
    created: list[PipelineHandle] = []

    def create(request: PipelineRequest) -> PipelineHandle:
        created.append(cloud.create_pipeline(request))
        return created[-1]

    yield create
    for pipeline in created:
        pipeline.release()


@pytest.fixture
def jobs(cloud: Cloud) -> Iterator[Callable[[JobRequest], JobHandle]]:
    """Submit jobs, and release them at the end."""
    submitted: list[JobHandle] = []

    def submit(request: JobRequest) -> JobHandle:
        submitted.append(cloud.run_job(request))
        return submitted[-1]

    yield submit
    for job in submitted:
        job.release()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, inspect.getsource(condition)
        time.sleep(0.02)


def end_of(job: JobHandle) -> JobState:
    until(lambda: job.state() in FINAL)
    return job.state()


def end_of_pipeline(pipeline: PipelineHandle) -> PipelineStatus:
    until(lambda: pipeline.status().state in FINAL)
    return pipeline.status()


def states(status: PipelineStatus) -> dict[str, str]:
    return {name: step.state for name, step in status.steps.items()}


def printed(job: JobHandle) -> tuple[str, int]:
    """Return the output of an ended job's command, and its exit code."""
    (output, outcome), _ = split_attempts(job.output(), WORD, is_complete=True)
    assert outcome is not None
    return output.strip(), outcome.exit_code


def run(agent: Agent, studio: StudioHandle, operation: str, argv: Sequence[str]) -> tuple[str, Outcome]:
    blocks: list[bytes] = []
    outcome = Operation(agent, studio, operation).run(
        OperationSpec(argv=argv, bin=agent.interpreter().bin), output=blocks.append
    )
    return b"".join(blocks).decode(), outcome


def look(agent: Agent, operation: str) -> dict[str, Any]:
    request = json.dumps({"poll": {operation: 0}})
    answer: dict[str, Any] = agent.call("exchange", request, "--wait", "0")["answers"][operation]
    return answer


# The protocols


@pytest.fixture(scope="module")
def things(cloud: Cloud, template: Template) -> Iterator[dict[type, list[object]]]:
    """Return all objects that a cloud returns, by the protocol that they satisfy."""
    name = new_name()
    job = cloud.run_job(template.job(name, "greet"))
    pipeline = cloud.create_pipeline(template.pipeline(new_name(), ("greet", ())))
    schedule = pipeline.schedule("nightly", "0 2 * * *", "UTC")
    end_of_pipeline(pipeline)
    yield {
        Cloud: [cloud],
        StudioHandle: [
            template.studio,
            cloud.find_studio(template.studio.name),
            *cloud.find_studios(template.studio.name),
        ],
        JobHandle: [job, *cloud.find_jobs(name), pipeline.job(pipeline.status().steps["greet"])],
        PipelineHandle: [pipeline, cloud.find_pipeline(pipeline.name)],
        ScheduleHandle: [schedule, *cloud.schedules()],
    }
    pipeline.release()
    job.release()


def parameters(function: Callable[..., Any]) -> list[tuple[str, object, object]]:
    signature = inspect.signature(function)
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize("protocol", [Cloud, StudioHandle, JobHandle, PipelineHandle, ScheduleHandle])
def test_everything_a_cloud_hands_out_has_each_name_of_its_protocol(
    things: dict[type, list[object]], protocol: type
) -> None:
    # The types of results are checked by mypy, because the fixture `cloud` is a `Cloud`.
    assert len(things[protocol]) > (protocol is not Cloud)
    for thing in things[protocol]:
        for name, promised in vars(protocol).items():
            if name.startswith("_"):
                continue
            found = getattr(thing, name)
            if isinstance(promised, property):
                assert isinstance(found, get_type_hints(promised.fget)["return"]), name
            else:
                assert parameters(found) == parameters(promised)[1:], name


# Studios


def test_a_new_studio_is_found_by_its_name_and_does_not_run(cloud: Cloud, studio: StudioHandle, name: str) -> None:
    found = cloud.find_studio(name)
    assert found is not None
    assert studio.name == name
    assert [found.name, *(each.name for each in cloud.find_studios(name))] == [name, name]
    assert list(cloud.studio_names()).count(name) == 1
    assert (found.is_running(), found.is_up(), found.runs_on("CPU")) == (False, False, False)


def test_a_studio_that_is_created_again_is_the_same(cloud: Cloud, studio: StudioHandle, name: str) -> None:
    studio.start(None)
    again = [cloud.create_studio(name), cloud.create_studio(name, ours=False), *cloud.find_studios(name)]
    assert [each.is_running() for each in again] == [True] * 3
    # The SDK keeps a running studio awake for as long as there is a handle that was not released.
    for each in again:
        each.release(delete=True)


def test_there_is_no_studio_of_another_name(cloud: Cloud, name: str) -> None:
    assert cloud.find_studio(name) is None
    assert list(cloud.find_studios(name)) == []
    assert name not in cloud.studio_names()


def test_a_studio_runs_on_the_machine_that_it_was_started_on(studio: StudioHandle) -> None:
    def machines() -> list[bool]:
        return [studio.runs_on(machine) for machine in ("CPU", "cpu-4", "L4", "lit-l4-1")]

    studio.start(None)
    studio.settle()
    assert (studio.is_running(), studio.is_up(), machines()) == (True, True, [True, True, False, False])
    studio.start("l4")
    assert machines() == [False, False, True, True]
    # The studio runs already, on the machine to which it was switched.
    studio.start(None)
    assert machines() == [False, False, True, True]
    studio.release(delete=False)
    assert (studio.is_running(), studio.is_up(), machines()) == (False, False, [False] * 4)
    studio.start(None)
    assert machines() == [True, True, False, False]


def test_a_studio_names_the_machine_that_it_runs_on(studio: StudioHandle) -> None:
    named = [studio.machine()]
    for machine in (None, "l4", "lit-h100-80gb-1", "lit-tpu-v6e-4"):
        studio.start(machine)
        named.append(studio.machine())
        assert machine is None or studio.runs_on(machine)
    assert not studio.runs_on("lit-tpu-v6e-8")
    assert named == [None, "CPU", "L4", "H100", "lit-tpu-v6e-4"]


def test_a_studio_stays_on_the_cloud_account_on_which_it_was_created(cloud: Cloud, name: str) -> None:
    studio = cloud.create_studio(name, cloud_account="lightning-nebius-prod")
    again = cloud.create_studio(name, cloud_account="lightning-baremetal")
    found = cloud.find_studio(name)
    try:
        assert found is not None
        assert [each.cloud_account for each in (studio, again, found)] == ["lightning-nebius-prod"] * 3
    finally:
        studio.release(delete=True)


def test_an_unknown_machine_is_an_error_that_names_it(cloud: Cloud, studio: StudioHandle, template: Template) -> None:
    request = template.job("any", "greet")
    nonsense = JobRequest(request.name, "NONSENSE", request.command, request.studio)
    pipeline = PipelineRequest(new_name(), (PipelineStepRequest(nonsense),))
    for call in (
        lambda: studio.start("NONSENSE"),
        lambda: studio.runs_on("NONSENSE"),
        lambda: cloud.run_job(nonsense),
        lambda: cloud.create_pipeline(pipeline),
        lambda: cloud.hourly_cost("NONSENSE"),
    ):
        # The error is an UnknownMachineError or a CloudError.
        with pytest.raises(LightningNativeError, match="unknown machine 'NONSENSE'"):
            call()


def test_a_stopped_studio_runs_no_command_but_takes_files(studio: StudioHandle, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(CloudError):
        studio.run(["true"])
    studio.upload(file, "folder/file")
    # The removal of a missing file is a success.
    for _ in range(2):
        studio.remove("folder/file")


def test_a_file_that_is_not_here_cannot_be_uploaded(cloud: Cloud, studio: StudioHandle, tmp_path: Path) -> None:
    with pytest.raises(CloudError):
        studio.upload(tmp_path / "missing", "file")
    with pytest.raises(CloudError):
        cloud.upload_to_drive(tmp_path / "missing", "folder/file")


def test_a_studio_is_stopped_and_deleted_and_both_can_be_repeated(
    cloud: Cloud, studio: StudioHandle, name: str
) -> None:
    studio.start(None)
    for _ in range(2):
        studio.release(delete=False)
        assert not studio.is_running()
    assert cloud.find_studio(name) is not None
    studio.start(None)
    for _ in range(2):
        studio.release(delete=True)
        assert cloud.find_studio(name) is None
    studio.release(delete=False)
    assert list(cloud.find_studios(name)) == []
    assert name not in cloud.studio_names()


def test_nothing_can_be_had_of_a_deleted_studio(studio: StudioHandle) -> None:
    studio.release(delete=True)
    for call in (
        studio.is_running,
        studio.is_up,
        studio.settle,
        lambda: studio.start(None),
        lambda: studio.runs_on("CPU"),
        lambda: studio.run(["true"]),
        lambda: studio.upload(AGENT_SOURCE, "file"),
    ):
        with pytest.raises(CloudError):
            call()
    studio.remove("file")


def test_releasing_a_deleted_studio_leaves_a_later_one_of_its_name(
    cloud: Cloud, studio: StudioHandle, name: str
) -> None:
    studio.release(delete=True)
    later = cloud.create_studio(name)
    later.start(None)
    studio.release(delete=False)
    studio.release(delete=True)
    assert later.is_running()
    assert name in cloud.studio_names()
    later.release(delete=True)


# The agent in a studio


def test_an_operation_ends_with_its_output_and_exit_code(agent: Agent, studio: StudioHandle) -> None:
    greeted, outcome = run(agent, studio, "run.greet", GREET)
    assert (greeted, outcome.exit_code, outcome.stopped) == ("hello\n", 0, False)
    failed, outcome = run(agent, studio, "run.fail", FAIL)
    assert (failed, outcome.exit_code, outcome.stopped) == ("oh\n", 3, False)


def test_an_operation_runs_once_however_often_it_is_started(agent: Agent) -> None:
    agent.start("run.once", OperationSpec(argv=GREET), 0)
    until(lambda: bool(look(agent, "run.once")["state"] == "done"))
    first = look(agent, "run.once")
    agent.start("run.once", OperationSpec(argv=FAIL), 0)
    assert look(agent, "run.once") == first
    assert first["result"]["exit_code"] == 0
    assert look(agent, "run.never") == {"state": "unknown", "offset": 0, "data": "", "more": False}


def test_running_operations_are_stopped_together(agent: Agent) -> None:
    for operation in ("run.1", "run.2"):
        agent.start(operation, OperationSpec(argv=WAIT), 0)
        assert look(agent, operation)["state"] == "running"
    agent.call("stop", "run.1", "run.2", "--grace", "60")
    for operation in ("run.1", "run.2"):
        until(lambda: bool(look(agent, operation)["state"] == "done"))  # noqa: B023  called in the loop
        result = look(agent, operation)["result"]
        assert (result["exit_code"], result["stopped"]) == (-15, True)


def test_an_operation_that_is_stopped_before_it_starts_never_does(agent: Agent) -> None:
    agent.stop("run.early", 1)
    answer = agent.start("run.early", OperationSpec(argv=GREET), 0)
    assert (answer["state"], answer["result"]["stopped"], answer["data"]) == ("done", True, "")


def test_an_operation_outlives_no_stop_of_its_studio_and_does_not_run_again(agent: Agent, studio: StudioHandle) -> None:
    run(agent, studio, "run.ended", GREET)
    agent.start("run.running", OperationSpec(argv=WAIT), 0)
    studio.release(delete=False)
    studio.start(None)
    ended = look(agent, "run.ended")
    assert (ended["state"], ended["result"]["exit_code"]) == ("done", 0)
    # The agent may have had the time to record the end of its command, or not.
    until(lambda: look(agent, "run.running")["state"] in ("done", "lost"))
    assert agent.start("run.running", OperationSpec(argv=WAIT), 0)["state"] in ("done", "lost")


def test_a_studio_knows_the_runs_that_run_there_and_leaves_its_stop_to_the_last(
    agent: Agent, studio: StudioHandle
) -> None:
    run(agent, studio, "ended.1", GREET)
    agent.start("one.1", OperationSpec(argv=WAIT), 0)
    agent.start("two.1", OperationSpec(argv=WAIT), 0)
    assert agent.call("leave", "one", "--stay") == {"others": ["two"]}
    left = agent.call("leave", "one", "--owes")
    assert (left["others"], left["stop"]) == (["two"], False)
    assert look(agent, "one.1")["state"] == "unknown"
    assert agent.call("leave", "three")["stop"] is False
    left = agent.call("leave", "two")
    assert (left["others"], left["stop"]) == ([], True)


def test_a_forgotten_operation_is_unknown(agent: Agent, studio: StudioHandle) -> None:
    run(agent, studio, "run.a", GREET)
    assert agent.call("forget", "run.a") == {"forgotten": 1}
    assert look(agent, "run.a")["state"] == "unknown"
    assert agent.call("forget", "run.a") == {"forgotten": 0}


def test_an_uploaded_file_is_there_until_it_is_removed(agent: Agent, studio: StudioHandle, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    for name in ("run.kept", "run.removed"):
        studio.upload(file, f"{REMOTE_HOME}/ops/{name}.json")
    studio.remove(f"{REMOTE_HOME}/ops/run.removed.json")
    assert agent.call("forget", "run.removed") == {"forgotten": 0}
    assert agent.call("forget", "run.kept") == {"forgotten": 1}


def test_an_archive_is_unpacked_once(agent: Agent, tmp_path: Path) -> None:
    archive = tmp_path / "code.tar.gz"
    with tarfile.open(archive, "w:gz") as entries:
        entries.addfile(tarfile.TarInfo("empty"), io.BytesIO())
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    destination = f"~/{REMOTE_HOME}/code/{sha256}"
    call = ("unpack", f"{destination}.tar.gz", sha256, destination)
    assert agent.call(*call, "--only-if-there") == {"state": "missing"}
    agent.upload(archive, f"{REMOTE_HOME}/code/{sha256}.tar.gz")
    for more in ((), (), ("--only-if-there",)):
        assert agent.call(*call, *more) == {"state": "done"}


def test_a_studio_has_the_python_that_new_machines_have(cloud: Cloud, agent: Agent) -> None:
    assert re.fullmatch(r"3\.\d+", cloud.machine_python)
    answer = agent.call("python")
    assert answer["bin"] == agent.interpreter().bin
    assert agent.interpreter().python == cloud.machine_python


@pytest.mark.usefixtures("agent")
def test_the_agent_refuses_what_it_does_not_know(studio: StudioHandle) -> None:
    _, code = studio.run([*COMMAND, "nonsense"])
    assert code == 2


# Jobs


def test_a_job_completes_with_its_output_and_is_found_by_its_name(
    cloud: Cloud, template: Template, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    job = jobs(template.job(name, "greet"))
    assert job.name == name
    assert end_of(job) == "completed"
    assert printed(job) == ("hello", 0)
    assert job.cost() >= 0
    (found,) = cloud.find_jobs(name)
    assert (found.name, found.state(), found.output(), found.cost()) == (name, "completed", job.output(), job.cost())


def test_a_job_whose_command_fails_has_failed(
    template: Template, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    job = jobs(template.job(name, "fail"))
    assert end_of(job) == "failed"
    assert printed(job) == ("oh", 3)


def test_a_running_job_is_stopped(template: Template, jobs: Callable[[JobRequest], JobHandle], name: str) -> None:
    job = jobs(template.job(name, "wait"))
    until(lambda: job.state() == "running")
    job.stop()
    assert end_of(job) == "stopped"
    assert isinstance(job.output(), str)


@pytest.mark.parametrize(("command", "state"), [("greet", "completed"), ("fail", "failed"), ("wait", "stopped")])
def test_a_job_that_has_ended_stays_as_it_is_when_it_is_stopped(
    template: Template, jobs: Callable[[JobRequest], JobHandle], name: str, command: str, state: JobState
) -> None:
    job = jobs(template.job(name, command))
    if command == "wait":
        job.stop()
    assert end_of(job) == state
    job.stop()
    assert job.state() == state


@pytest.mark.parametrize("command", ["greet", "wait"])
def test_a_job_is_released_whether_it_runs_or_not_and_that_can_be_repeated(
    cloud: Cloud, template: Template, name: str, command: str
) -> None:
    job = cloud.run_job(template.job(name, command))
    if command == "greet":
        end_of(job)
    for _ in range(2):
        job.release()
        assert list(cloud.find_jobs(name)) == []
    for call in (job.state, job.output, job.cost, job.stop):
        with pytest.raises(CloudError):
            call()


def test_releasing_a_deleted_job_leaves_a_later_one_of_its_name(
    cloud: Cloud, template: Template, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    earlier = jobs(template.job(name, "greet"))
    earlier.release()
    later = jobs(template.job(name, "wait"))
    until(lambda: later.state() == "running")
    earlier.release()
    assert later.state() == "running"
    assert len(cloud.find_jobs(name)) == 1


def test_a_second_job_of_a_name_gets_another_one_and_does_not_run_the_command(
    cloud: Cloud, template: Template, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    first, second = (jobs(template.job(name, "greet", "--job-name", name)) for _ in range(2))
    assert (end_of(first), end_of(second)) == ("completed", "failed")
    assert first.name == name != second.name
    assert [job.name for job in cloud.find_jobs(name)] == [first.name, second.name]
    assert second.output() == f"this job is a duplicate of {name}, which runs the command"


def test_a_job_from_nothing_is_refused(cloud: Cloud, template: Template, name: str) -> None:
    command = template.job(name, "greet").command
    for studio in (None, new_name()):
        with pytest.raises(CloudError):
            cloud.run_job(JobRequest(name, "CPU", command, studio))
    assert list(cloud.find_jobs(name)) == []


def test_a_job_waits_for_what_it_is_to_run_and_can_be_stopped_meanwhile(
    template: Template, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    job = jobs(template.job(name, "greet", file="missing"))
    assert job.state() in ("pending", "running")
    job.stop()
    assert end_of(job) == "stopped"


# Files that come back


def test_files_of_a_studio_and_of_the_drive_are_downloaded_and_missing_ones_are_no_error(
    cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(b"content")
    studio = cloud.create_studio(f"download-{uuid.uuid4().hex[:8]}")
    name = f"download-{uuid.uuid4().hex[:8]}"
    try:
        studio.upload(tmp_path / "there", "folder/file")
        cloud.upload_to_drive(tmp_path / "there", f"{name}/file")
        assert studio.download("folder/file", tmp_path / "from studio")
        assert cloud.download_from_drive(f"{name}/file", tmp_path / "from drive")
        assert (tmp_path / "from studio").read_bytes() == (tmp_path / "from drive").read_bytes() == b"content"
        assert not studio.download("folder/missing", tmp_path / "missing")
        assert not cloud.download_from_drive(f"{name}/missing", tmp_path / "missing")
        assert not cloud.download_from_drive("nowhere/missing", tmp_path / "missing")
    finally:
        studio.release(delete=True)
        cloud.remove_from_drive(name)
    assert not studio.download("folder/file", tmp_path / "gone")


# The drive


def test_a_container_runs_what_is_in_the_folder_of_the_drive_that_it_mounts_until_that_is_removed(
    cloud: Cloud, jobs: Callable[[JobRequest], JobHandle], name: str
) -> None:
    def upload(path: Path, remote_path: str) -> None:
        cloud.upload_to_drive(path, remote_path.replace(REMOTE_HOME, name))

    mount = f"/tmp/{name}"  # noqa: S108  in the container

    def container(operation: str) -> JobRequest:
        sha256 = upload_specification(upload, operation, {"argv": GREET, "cwd": ".", "mounted": True, "word": WORD})
        call = shlex.join(["python3", f"{mount}/agent.py", "job", operation, "--spec-sha256", sha256])
        return JobRequest(new_name(), "CPU", f"exec {call}", image="registry.example/tool:1", mounts={mount: name})

    upload(AGENT_SOURCE, f"{REMOTE_HOME}/agent.py")
    first, second = container("first"), container("second")
    job = jobs(first)
    assert end_of(job) == "completed", job.output()
    assert printed(job) == ("hello", 0)
    # The removal of a missing file is a success.
    for _ in range(2):
        cloud.remove_from_drive(name)
    assert end_of(jobs(second)) == "failed"


# Prices


def test_a_machine_has_a_price_or_none_is_known(cloud: Cloud) -> None:
    prices = [cloud.hourly_cost(machine) for machine in ("CPU", "cpu-4", "l4")]
    assert prices[0] == prices[1]
    if isinstance(cloud, MemoryCloud):
        assert prices == [None, None, None]
    else:
        assert all(isinstance(price, float) and price > 0 for price in prices)
        # An A100 is whichever the price list has, and a machine is found by any slug.
        assert cloud.hourly_cost("A100") in (cloud.hourly_cost("A100_40GB"), cloud.hourly_cost("A100_80GB"))
        assert cloud.hourly_cost("H100") == cloud.hourly_cost("lit-h100-80gb-1") == 5.68
        assert cloud.hourly_cost("T4_X_2") is None


def test_offers_have_the_accounts_that_studios_can_be_on(cloud: Cloud) -> None:
    accounts = {offer.cloud_account for offer in cloud.offers()}
    if isinstance(cloud, MemoryCloud):
        assert (accounts, cloud.default_cloud_account) == (set(), None)
    else:
        assert cloud.default_cloud_account in accounts


# Pipelines


def test_a_step_of_a_pipeline_waits_for_others_and_knows_the_pipeline(
    cloud: Cloud, template: Template, pipelines: Callable[[PipelineRequest], PipelineHandle], name: str
) -> None:
    pipeline = pipelines(template.pipeline(name, ("greet", ()), ("show", ("greet",))))
    assert (pipeline.name, list(pipeline.studio_names())) == (name, [template.studio.name])
    assert abs(pipeline.created - time.time()) < PATIENCE_SECONDS
    assert set(states(pipeline.status())) == {"greet", "show"}
    status = end_of_pipeline(pipeline)
    assert (status.state, states(status)) == ("completed", {"greet": "completed", "show": "completed"})
    greet, show = (pipeline.job(status.steps[step]) for step in ("greet", "show"))
    assert (greet.name, printed(greet)) == (f"{name}-greet", ("hello", 0))
    assert printed(show) == (f"{show.name} {pipeline.id}", 0)
    assert [job.state() for job in cloud.find_jobs(show.name)] == ["completed"]
    found = cloud.find_pipeline(name)
    assert found is not None
    assert (found.id, found.created, found.status()) == (pipeline.id, pipeline.created, status)


def test_a_pipeline_has_no_other_jobs_and_there_is_none_of_another_name(
    cloud: Cloud, template: Template, pipelines: Callable[[PipelineRequest], PipelineHandle], name: str
) -> None:
    pipeline = pipelines(template.pipeline(name, ("greet", ())))
    with pytest.raises(CloudError):
        pipeline.job(PipelineStepStatus("running", f"{name}-nonsense"))
    assert cloud.find_pipeline(new_name()) is None


@pytest.mark.parametrize("stop_on_failure", [False, True])
def test_a_step_after_a_failed_one_is_skipped(
    template: Template,
    pipelines: Callable[[PipelineRequest], PipelineHandle],
    name: str,
    stop_on_failure: bool,
) -> None:
    steps = (("greet", ()), ("fail", ("greet",)), ("show", ("fail",)), ("show-last", ("show",)))
    status = end_of_pipeline(pipelines(template.pipeline(name, *steps, stop_on_failure=stop_on_failure)))
    assert status.state == "failed"
    assert states(status) == {"greet": "completed", "fail": "failed", "show": "skipped", "show-last": "skipped"}
    assert (status.steps["fail"].job, status.steps["show"].job) == (f"{name}-fail", None)


@pytest.mark.parametrize("stop_on_failure", [False, True])
def test_steps_that_do_not_wait_for_a_stopped_one_run_unless_failures_stop_them(
    template: Template,
    pipelines: Callable[[PipelineRequest], PipelineHandle],
    name: str,
    stop_on_failure: bool,
) -> None:
    steps = (("wait-stopped", ()), ("wait-kept", ()), ("greet", ("wait-kept",)))
    pipeline = pipelines(template.pipeline(name, *steps, stop_on_failure=stop_on_failure))

    def stop(step: str) -> None:
        until(lambda: pipeline.status().steps[step].state == "running")
        pipeline.job(pipeline.status().steps[step]).stop()
        until(lambda: pipeline.status().steps[step].state == "stopped")

    stop("wait-stopped")
    assert pipeline.status().steps["greet"].state == ("skipped" if stop_on_failure else "pending")
    stop("wait-kept")
    status = end_of_pipeline(pipeline)
    assert status.state == "failed"
    assert states(status) == {"wait-stopped": "stopped", "wait-kept": "stopped", "greet": "skipped"}


def test_a_running_pipeline_is_stopped_with_its_steps_and_that_can_be_repeated(
    template: Template, pipelines: Callable[[PipelineRequest], PipelineHandle], name: str
) -> None:
    pipeline = pipelines(template.pipeline(name, ("greet", ()), ("wait", ("greet",)), ("show", ("wait",))))
    until(lambda: pipeline.status().steps["wait"].state == "running")
    for _ in range(2):
        pipeline.stop()
        status = end_of_pipeline(pipeline)
        assert status.state == "stopped"
        assert states(status) == {"greet": "completed", "wait": "stopped", "show": "stopped"}
    assert end_of(pipeline.job(status.steps["wait"])) == "stopped"


@pytest.mark.parametrize(("command", "state"), [("greet", "completed"), ("fail", "failed")])
def test_a_pipeline_that_has_ended_stays_as_it_is_when_it_is_stopped(
    template: Template,
    pipelines: Callable[[PipelineRequest], PipelineHandle],
    name: str,
    command: str,
    state: JobState,
) -> None:
    pipeline = pipelines(template.pipeline(name, (command, ())))
    before = end_of_pipeline(pipeline)
    assert before.state == state
    pipeline.stop()
    assert pipeline.status() == before


@pytest.mark.parametrize("command", ["greet", "wait"])
def test_a_pipeline_is_released_with_its_jobs_whether_it_runs_or_not_and_that_can_be_repeated(
    cloud: Cloud, template: Template, name: str, command: str
) -> None:
    pipeline = cloud.create_pipeline(template.pipeline(name, (command, ())))
    until(lambda: pipeline.status().steps[command].job is not None)
    for _ in range(2):
        pipeline.release()
        assert cloud.find_pipeline(name) is None
        assert list(cloud.find_jobs(f"{name}-{command}")) == []
    for call in (pipeline.status, pipeline.stop, lambda: pipeline.schedule("nightly", "0 2 * * *", "UTC")):
        with pytest.raises(CloudError):
            call()
    assert list(pipeline.runs()) == []


def test_the_newest_pipeline_of_a_name_is_found_and_the_older_one_goes_on(
    cloud: Cloud, template: Template, pipelines: Callable[[PipelineRequest], PipelineHandle], name: str
) -> None:
    older = pipelines(template.pipeline(name, ("wait", ())))
    until(lambda: older.status().steps["wait"].state == "running")
    newer = pipelines(template.pipeline(name, ("wait", ())))
    until(lambda: newer.status().steps["wait"].state == "running")
    assert (older.name, newer.name) == (name, name)
    found = cloud.find_pipeline(name)
    assert found is not None
    assert found.id == newer.id != older.id
    newer.release()
    assert older.status().steps["wait"].state == "running"
    found = cloud.find_pipeline(name)
    assert found is not None
    assert found.id == older.id


def test_a_pipeline_that_cannot_run_is_refused(cloud: Cloud, template: Template, name: str) -> None:
    first = template.job("first", "greet")
    elsewhere = JobRequest("elsewhere", "CPU", first.command, new_name())
    for steps in (
        (),
        (PipelineStepRequest(first), PipelineStepRequest(first)),
        (PipelineStepRequest(first, ("nonsense",)),),
        (PipelineStepRequest(first), PipelineStepRequest(template.job("second", "greet"), ("nonsense",))),
        (PipelineStepRequest(elsewhere),),
    ):
        with pytest.raises(CloudError):
            cloud.create_pipeline(PipelineRequest(name, steps))
    assert cloud.find_pipeline(name) is None


# Schedules


@pytest.fixture
def scheduled(
    template: Template, pipelines: Callable[[PipelineRequest], PipelineHandle], name: str
) -> tuple[PipelineHandle, ScheduleHandle]:
    pipeline = pipelines(template.pipeline(name, ("greet", ())))
    return pipeline, pipeline.schedule("nightly", "0 2 * * *", "Europe/Zurich")


def schedules_of(cloud: Cloud, pipeline: PipelineHandle) -> list[ScheduleHandle]:
    return [schedule for schedule in cloud.schedules() if schedule.pipeline_id == pipeline.id]


def described(schedule: ScheduleHandle) -> tuple[str, str, str, bool]:
    return schedule.name, schedule.cron, schedule.timezone, schedule.paused


def test_a_schedule_is_listed_with_its_pipeline_and_has_no_runs_before_it_fires(
    cloud: Cloud, scheduled: tuple[PipelineHandle, ScheduleHandle]
) -> None:
    pipeline, schedule = scheduled
    assert schedule.pipeline_id == pipeline.id
    (listed,) = schedules_of(cloud, pipeline)
    assert described(schedule) == described(listed) == ("nightly", "0 2 * * *", "Europe/Zurich", False)
    assert list(pipeline.runs()) == []


def test_a_pipeline_has_one_schedule_the_first_that_was_asked_for(
    cloud: Cloud, scheduled: tuple[PipelineHandle, ScheduleHandle]
) -> None:
    # The cloud treats a second request as a repetition of the first one.
    pipeline, schedule = scheduled
    assert described(pipeline.schedule("other", "0 3 * * *", "UTC")) == described(schedule)
    assert len(schedules_of(cloud, pipeline)) == 1


def test_a_change_of_a_schedule_changes_what_is_given_and_no_handle_that_was_read_before(
    cloud: Cloud, scheduled: tuple[PipelineHandle, ScheduleHandle]
) -> None:
    pipeline, schedule = scheduled
    (before,) = schedules_of(cloud, pipeline)
    unchanged = described(schedule)
    changes: list[tuple[dict[str, Any], tuple[str, str, str, bool]]] = [
        ({}, unchanged),
        ({"paused": True}, ("nightly", "0 2 * * *", "Europe/Zurich", True)),
        ({"cron": "0 4 * * *"}, ("nightly", "0 4 * * *", "Europe/Zurich", True)),
        ({"timezone": "UTC", "paused": False}, ("nightly", "0 4 * * *", "UTC", False)),
    ]
    for change, expected in changes:
        schedule.update(**change)
        (now,) = schedules_of(cloud, pipeline)
        assert described(schedule) == described(now) == expected
    assert described(before) == unchanged


def test_moments_that_cannot_be_are_refused_and_nothing_changes(
    cloud: Cloud,
    template: Template,
    pipelines: Callable[[PipelineRequest], PipelineHandle],
    scheduled: tuple[PipelineHandle, ScheduleHandle],
) -> None:
    pipeline, schedule = scheduled
    before = described(schedule)
    other = pipelines(template.pipeline(new_name(), ("greet", ())))
    for cron, timezone in (("nonsense", "UTC"), ("0 2 * * *", "Nowhere/City")):
        with pytest.raises(CloudError):
            other.schedule("nightly", cron, timezone)
        with pytest.raises(CloudError):
            schedule.update(cron=cron, timezone=timezone)
    assert schedules_of(cloud, other) == []
    (now,) = schedules_of(cloud, pipeline)
    assert described(schedule) == described(now) == before


def test_a_schedule_is_released_without_its_pipeline_and_that_can_be_repeated(
    cloud: Cloud, scheduled: tuple[PipelineHandle, ScheduleHandle]
) -> None:
    pipeline, schedule = scheduled
    for _ in range(2):
        schedule.release()
        assert schedules_of(cloud, pipeline) == []
    with pytest.raises(CloudError):
        schedule.update(paused=True)
    assert end_of_pipeline(pipeline).state == "completed"


def test_a_schedule_is_released_with_its_pipeline(
    cloud: Cloud, scheduled: tuple[PipelineHandle, ScheduleHandle]
) -> None:
    pipeline, schedule = scheduled
    pipeline.release()
    assert schedules_of(cloud, pipeline) == []
    schedule.release()
