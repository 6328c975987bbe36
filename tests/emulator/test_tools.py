"""Tools of others against the local cloud, which they do not know: unchanged, each in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), strip_home_prefix=True) as cloud:
        yield cloud


@pytest.fixture
def run(cloud: LocalCloud, tmp_path: Path) -> Run:
    """Run a command in an empty folder as a user who exported the cloud's variables."""
    (tmp_path / "home").mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))}
    environment = {**inherited, **cloud.environ, "HOME": str(tmp_path / "home"), "COLUMNS": "200", "NO_COLOR": "1"}

    def run(*argv: str, **more: str) -> "subprocess.CompletedProcess[str]":
        result = subprocess.run(
            argv, check=False, capture_output=True, text=True, env={**environment, **more}, cwd=tmp_path, timeout=400
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run


def test_the_lightning_command_line_lives_with_a_studio_and_a_job(run: Run, tmp_path: Path) -> None:
    lightning = str(Path(sys.executable).with_name("lightning"))
    teamspace = ("--teamspace", "local-user/local-teamspace")
    run(lightning, "studio", "create", "--name", "by-hand", *teamspace)
    run(lightning, "studio", "start", "--name", "by-hand", "--machine", "CPU", *teamspace)
    listed = json.loads(run(lightning, "studio", "list", "--json", *teamspace).stdout)
    assert [(studio["name"], studio["status"], studio["machine"]) for studio in listed] == [
        ("by-hand", "Running", "CPU")
    ]
    here = "lit://local-user/local-teamspace/studios/by-hand"
    (tmp_path / "my file.txt").write_text("content")
    run(lightning, "cp", "my file.txt", f"{here}/in/my file.txt")
    assert run(lightning, "ls", f"{here}/in").stdout == "my file.txt\n"
    run(lightning, "cp", "-r", f"{here}/in", "back")
    assert (tmp_path / "back" / "my file.txt").read_text() == "content"
    run(lightning, "rm", f"{here}/in/my file.txt")
    assert "my file.txt" not in run(lightning, "ls", f"{here}/in").stdout
    run(lightning, "studio", "switch", "--name", "by-hand", "--machine", "L4", *teamspace)
    job = ("--name", "a-job", "--machine", "CPU", "--studio", "by-hand", "--command", "echo from the job; sleep 600")
    run(lightning, "job", "run", *job, *teamspace)
    assert "a-job" in run(lightning, "job", "list", *teamspace).stdout
    run(lightning, "job", "stop", "a-job", *teamspace)
    assert "from the job" in run(lightning, "job", "logs", "a-job", *teamspace).stdout
    run(lightning, "studio", "stop", "--name", "by-hand", *teamspace)


LAUNCH = """
import itertools, os, time
from pathlib import Path
from lightning_sdk import Job, Machine, Status, Studio

Path("project").mkdir()
Path("project/train.py").write_text(
    "import argparse, json, time\\n"
    "p = argparse.ArgumentParser(); p.add_argument('--lr', type=float); p.add_argument('--depth', type=int)\\n"
    "a = p.parse_args()\\n"
    "print('epoch 0', flush=True); time.sleep(0.3); print('READY', flush=True)\\n"
    "open('metrics.json', 'w').write(json.dumps({'loss': a.lr * a.depth}))\\n"
)
studio = Studio(name="launch", teamspace="local-teamspace", user="local-user", create_ok=True)
studio.start()
studio.upload_folder("project", remote_path="project")
studio.run("cd project && pip install --no-index iniconfig")

# A sweep over a grid, polled until it is done, with new log lines as they come.
jobs = {}
for lr, depth in itertools.product([0.1, 0.2], [1, 2]):
    name = f"sweep-{lr}-{depth}".replace(".", "-")
    jobs[name] = studio.run_job(
        name=name, machine=Machine.L4, command=f"cd project && python train.py --lr {lr} --depth {depth}"
    )
printed = dict.fromkeys(jobs, 0)
while True:
    done = all(job.status in (Status.Completed, Status.Failed, Status.Stopped) for job in jobs.values())
    for name, job in jobs.items():
        if job.status in (Status.Running, Status.Completed):
            lines = str(job.logs).splitlines()
            for line in lines[printed[name]:]:
                print(f"{name}: {line}")
            printed[name] = len(lines)
    if done:
        break
    time.sleep(0.2)
for name, job in jobs.items():
    job.download_artifacts(f"out/{name}")
    print(name, job.status, Path(f"out/{name}/project/metrics.json").read_text())

# A smoke test waits for a marker in the logs, then stops.
command = "python project/train.py --lr 1 --depth 1; sleep 600"
smoke = Job.run(name="smoke", machine="CPU", studio=studio, command=command)
deadline = time.time() + 60
while "READY" not in (str(smoke.logs) if smoke.status == Status.Running else ""):
    assert time.time() < deadline
    time.sleep(0.2)
smoke.stop()
print("smoke", smoke.status)
studio.stop()
print("left", studio.status)
"""


def test_a_launch_script_with_a_sweep_and_a_smoke_test(run: Run, tmp_path: Path) -> None:
    (tmp_path / "launch.py").write_text(LAUNCH)
    output = run(sys.executable, "-W", "ignore", "launch.py").stdout.splitlines()
    assert 'sweep-0-2-2 Completed {"loss": 0.4}' in output
    assert [line for line in output if line.startswith("sweep-0-1-1: ")] == [
        "sweep-0-1-1: epoch 0",
        "sweep-0-1-1: READY",
    ]
    assert output[-2:] == ["smoke Stopped", "left Stopped"]


PIPELINE = """
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings

@step
def one() -> int:
    return 20

@step
def two(number: int) -> int:
    return number + 1

# Without a requirement the integration runs a bare `uv pip install`, which fails.
@pipeline(settings={"docker": DockerSettings(requirements=["iniconfig"])}, enable_cache=False)
def small() -> None:
    two(one())

if __name__ == "__main__":
    run = Client().get_pipeline_run(small().id)
    print("RESULT", run.status, run.steps["two"].output.load())
"""

STACK = """
import os, sys
from zenml.client import Client
from zenml.enums import StackComponentType as Kind

client = Client()
account = {name: os.environ[f"LIGHTNING_{name.upper()}"] for name in ("user_id", "api_key", "username", "teamspace")}
client.create_stack_component("theirs", "lightning", Kind.ORCHESTRATOR, {**account, "synchronous": True})
client.create_stack_component("files", "local", Kind.ARTIFACT_STORE, {"path": sys.argv[1]})
client.activate_stack(client.create_stack("theirs", {Kind.ORCHESTRATOR: "theirs", Kind.ARTIFACT_STORE: "files"}).id)
"""


@pytest.mark.spread(5)
def test_zenmls_own_lightning_integration_runs_a_pipeline(run: Run, tmp_path: Path) -> None:
    home = run(sys.executable, "-W", "ignore", "-c", _HOME_PROBE).stdout.strip()
    if home != "/teamspace/studios/this_studio":
        pytest.skip("it needs the platform's paths, and this kernel lets this user have no mount namespace")
    zenml = {"ZENML_CONFIG_PATH": str(tmp_path / "zenml"), "ZENML_ANALYTICS_OPT_IN": "false"}
    (tmp_path / "code").mkdir()
    (tmp_path / "stack.py").write_text(textwrap.dedent(STACK))
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "artifacts").mkdir()
    run(sys.executable, "stack.py", str(tmp_path / "artifacts"), **zenml)
    assert "RESULT completed 21" in run(sys.executable, "pipeline.py", **zenml).stdout


_HOME_PROBE = """
from lightning_sdk import Studio
studio = Studio("probe")
studio.start()
print(studio.run("echo ~"))
studio.delete()
"""
