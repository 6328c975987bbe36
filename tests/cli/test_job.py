"""Job files of every kind through the command line, run for real on a local cloud."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_native.cli import main
from lightning_native.emulator import LocalCloud
from lightning_native.jobs import ContainerRuntime, Job, Lightning, lightning
from lightning_native.lightning.machines import same_machine
from lightning_native.lightning.session import open_teamspace

# The garbage collector reports sockets of logs that the SDK does not close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

EXAMPLES = Path(__file__).parents[2] / "examples" / "jobs"
INFRASTRUCTURE = {
    "kind": "infrastructure",
    "type": "dataScienceJob",
    "spec": {
        "compartmentId": "ocid1.compartment.oc1..<id>",
        "logGroupId": "ocid1.loggroup.oc1.iad.<id>",
        "shapeName": "VM.Standard.E3.Flex",
        "shapeConfigDetails": {"memoryInGBs": 16, "ocpus": 1},
        "blockStorageSize": 50,
    },
}
CONDA = {"type": "service", "slug": "pytorch110_p38_cpu_v1"}


class Shell:
    """A user's shell: a folder, and the commands that are called there."""

    def __init__(self, cloud: LocalCloud, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._cloud = cloud
        self._capture = capture
        # Studios and jobs of other tests run on the same cloud.
        self._others = {each.name for each in self._running()}

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def job(self, kind: str, /, **spec: Any) -> dict[str, Any]:
        """Write `job.yaml` as users of ADS have it, and return it as data."""
        runtime = {"kind": "runtime", "type": kind, "spec": {"conda": CONDA, **spec}}
        spec = {"name": f"a {kind} job", "infrastructure": INFRASTRUCTURE, "runtime": runtime}
        document = {"kind": "job", "spec": spec}
        (self.folder / "job.yaml").write_text(yaml.safe_dump(document))
        return document

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command in this process, which saves the SDK's import; return exit code, stdout and stderr."""
        self._capture.readouterr()
        code = main(["job", *arguments])
        output, errors = self._capture.readouterr()
        return code, output, errors

    def run_job(self) -> tuple[dict[str, Any], str]:
        """Run `job.yaml`; return its result and its output."""
        code, output, errors = self.call("run", "job.yaml", "--json")
        assert output, errors
        result: dict[str, Any] = json.loads(output)
        assert code == (0 if result["state"] == "completed" else 1)
        self.assert_nothing_runs()
        return result, errors

    def _running(self) -> list[Any]:
        teamspace = open_teamspace()
        jobs = [job for job in teamspace.jobs if str(job.status) not in ("Completed", "Failed", "Stopped")]
        return [*jobs, *(studio for studio in teamspace.studios if str(studio.status) == "Running")]

    def assert_nothing_runs(self) -> None:
        """Check that no job, studio or driver process runs, and that no code of a job is left in a studio."""
        assert [each.name for each in self._running() if each.name not in self._others] == []
        processes = subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        root = str(self._cloud.root)
        assert [line for line in processes.splitlines() if root in line and "driver.pyz" in line] == []
        assert [path for path in Path(root).glob("studios/**/.lightning-native/jobs/**/*") if path.is_file()] == []


@pytest.fixture
def shell(
    lightning_cloud: LocalCloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    # ZenML, once another test of this process has imported it, writes all loggers' records to the standard output.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    return Shell(lightning_cloud, tmp_path, capfd)


def test_a_script_runs_with_its_arguments_and_its_exit_code_is_kept(shell: Shell) -> None:
    shell.write("code_dir/my_package/run.sh", 'echo "got $# $1 $GREETING from $(basename "$PWD")"; exit 7\n')
    given = shell.job(
        "script",
        scriptPathURI="code_dir",
        entrypoint="my_package/run.sh",
        args=["two wörds", "$HOME"],
        env=[{"name": "GREETING", "value": "${WHO} $$"}, {"name": "WHO", "value": "hi"}],
    )
    result, errors = shell.run_job()
    assert (result["state"], result["exit_code"]) == ("failed", 7)
    assert "got 2 two wörds hi $ from code_dir\n" in errors
    assert "warning: has no counterpart on Lightning, and is ignored: compartmentId, logGroupId\n" in errors
    code, output, _ = shell.call("extract", result["name"])
    assert code == 0
    assert yaml.safe_load(output) == given


def test_an_exit_code_that_the_code_prints_is_output(shell: Shell) -> None:
    line = "lightning-native: exit code"
    shell.write("tool.sh", f"echo '{line} 3'; echo '{line} 4 (0000)'; printf 'at the end: {line} 5'; exit 7\n")
    shell.job("script", scriptPathURI="tool.sh")
    result, errors = shell.run_job()
    assert (result["state"], result["exit_code"]) == ("failed", 7)
    assert f"{line} 3\n{line} 4 (0000)\nat the end: {line} 5\n" in errors
    # A later command has only the information that Lightning keeps.
    code, output, errors = shell.call("watch", result["name"], "--json")
    assert (code, json.loads(output)["exit_code"]) == (1, 7), errors


def test_python_code_runs_a_function_in_its_working_folder_and_brings_its_output(shell: Shell) -> None:
    shell.write("code_dir/other_packages/helper.py", "NAME = 'helper'\n")
    shell.write(
        "code_dir/my_package/my_script.py",
        """
        import os
        import sys
        from pathlib import Path

        import helper

        def main(*args, **options):
            print("called with", args, options, helper.NAME, os.path.basename(os.getcwd()))
            Path(os.environ["OUTPUT_DIR"]).mkdir()
            Path(os.environ["OUTPUT_DIR"], "result.txt").write_text("done")
        """,
    )
    output = shell.folder / "results" / "here"
    shell.job(
        "python",
        scriptPathURI="code_dir",
        workingDir="code_dir",
        entrypoint="my_package/my_script.py",
        entryFunction="main",
        pythonPath=["other_packages"],
        outputDir="output",
        outputUri=f"file://{output}",
        args=["arg1", "--key", "arg2"],
    )
    result, errors = shell.run_job()
    assert result["state"] == "completed", errors
    assert "called with ('arg1',) {'key': 'arg2'} helper code_dir\n" in errors
    assert (output / "result.txt").read_text() == "done"


def notebook(*cells: tuple[str, str]) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {"tags": [tag] if tag else []},
                    "source": source,
                    "outputs": [],
                    "execution_count": None,
                }
                for number, (source, tag) in enumerate(cells)
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def test_a_notebook_leaves_out_excluded_cells_and_is_saved_although_it_fails(shell: Shell) -> None:
    cells = [
        ("import data; print('value', data.VALUE)", ""),
        ("raise SystemError('excluded')", "ignore"),
        ("6 * 7", "keep"),
        ("1 / 0", ""),
        ("print('never')", ""),
    ]
    shell.write("folder/nested/a.ipynb", notebook(*cells))
    shell.write("folder/nested/data.py", "VALUE = 3\n")
    output = shell.folder / "saved"
    shell.job("notebook", source="folder", entrypoint="nested/a.ipynb", excludeTags=["ignore"], outputUri=str(output))
    result, errors = shell.run_job()
    assert (result["state"], result["exit_code"]) == ("failed", 1)
    assert "value 3\n" in errors
    assert "42\n" in errors
    assert "ZeroDivisionError" in errors
    saved = json.loads((output / "a.ipynb").read_text())
    kinds = [[each["output_type"] for each in cell["outputs"]] for cell in saved["cells"]]
    assert kinds == [["stream"], [], ["execute_result"], ["error"], []]


def test_a_git_repository_runs_at_a_commit(shell: Shell) -> None:
    repository = shell.folder / "repository"
    repository.mkdir()

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=repository, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init")
    shell.write("repository/pkg/main.py", "import sys, lib\nprint('first', sys.argv[1:], lib.NAME)\n")
    shell.write("repository/src/lib.py", "NAME = 'lib'\n")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    shell.write("repository/pkg/main.py", "raise SystemExit('second')\n")
    git("commit", "-am", "second")
    shell.job(
        "gitPython",
        url=f"file://{repository}",
        commit=commit,
        branch="main",
        entrypoint="pkg/main.py",
        workingDir="src",
        args=["--lr", "0.1"],
    )
    result, errors = shell.run_job()
    assert result["state"] == "completed", errors
    assert f"at commit {commit}" in errors
    assert "first ['--lr', '0.1'] lib\n" in errors


def test_code_in_git_runs_in_an_image_too(shell: Shell) -> None:
    repository = shell.folder / "repository"
    shell.write("repository/main.py", "print('from an image')\n")
    for command in (["init"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first"]):
        subprocess.run(["git", *command], cwd=repository, capture_output=True, check=True)
    document = shell.job("gitPython", url=f"file://{repository}", entrypoint="main.py")
    place = {"kind": "infrastructure", "type": "lightning", "spec": {"image": "python:3.12", "machine": "CPU"}}
    document["spec"]["infrastructure"] = place
    (shell.folder / "job.yaml").write_text(yaml.safe_dump(document))
    result, errors = shell.run_job()
    assert result["state"] == "completed", errors
    assert "from an image\n" in errors


def test_a_container_runs_and_is_recorded_as_such(shell: Shell) -> None:
    given = shell.job(
        "container",
        image="registry.example/me/tool:1",
        entrypoint=["/bin/sh", "-c"],
        cmd=["echo in $KEY, ok"],
        env={"KEY": "V"},
    )
    result, errors = shell.run_job()
    assert result["state"] == "completed", errors
    assert "in V, ok\n" in errors
    (recorded,) = [job for job in open_teamspace().jobs if job.name == result["name"]]
    assert (recorded.image, recorded.studio) == ("registry.example/me/tool:1", None)
    code, output, _ = shell.call("extract", result["name"])
    assert code == 0
    runtime = yaml.safe_load(output)["spec"]["runtime"]["spec"]
    assert runtime == {**given["spec"]["runtime"]["spec"], "env": [{"name": "KEY", "value": "V"}]}


def test_what_a_job_is_translated_to_is_what_the_sdk_takes(shell: Shell) -> None:
    runtime = ContainerRuntime().with_image("i:1", ["/bin/sh", "-c"], "echo ran").with_replica(2)
    job = Job(name="by the sdk", runtime=runtime, infrastructure=Lightning(machine="L4"))
    from lightning_sdk import Job as SdkJob
    from lightning_sdk import Machine

    live = SdkJob.run(**lightning.translate(job).arguments, teamspace=open_teamspace())
    assert lightning.extract(live) == runtime
    assert lightning.extract_job(live) == job
    live.wait(interval=0.1)
    assert (str(live.status), live.num_machines, live.machine) == ("Completed", 2, Machine.L4)
    shell.assert_nothing_runs()


def test_a_container_of_somebody_else_is_described_as_far_as_it_can_be_seen(shell: Shell) -> None:
    from lightning_sdk import Job as SdkJob

    live = SdkJob.run(
        "somebodys", "lit-l4-1", image="i:1", command="echo 1", env={"A": "1"}, teamspace=open_teamspace()
    )
    live.wait(interval=0.1)
    code, output, errors = shell.call("extract", "somebodys")
    assert code == 0, errors
    described = yaml.safe_load(output)["spec"]
    assert described["infrastructure"]["spec"] == {"machine": "L4"}
    assert described["runtime"]["spec"] == {
        "image": "i:1",
        "entrypoint": ["sh", "-c"],
        "cmd": "echo 1",
        "env": [{"name": "A", "value": "1"}],
    }


def test_a_submission_that_is_delivered_twice_leaves_one_job(shell: Shell, lightning_cloud: LocalCloud) -> None:
    shell.write("quick.py", "print('once')\n")
    document = shell.job("script", scriptPathURI="quick.py")
    document["spec"]["name"] = "delivered"
    (shell.folder / "job.yaml").write_text(yaml.safe_dump(document))
    lightning_cloud.faults.add("status", match="POST */jobs", status=503, after_accept=True)
    result, errors = shell.run_job()
    assert (result["state"], errors.count("once\n")) == ("completed", 1)
    assert [job.name for job in open_teamspace().jobs if job.name.startswith("delivered")] == [result["name"]]


@pytest.mark.spread(6)
@pytest.mark.parametrize(
    "match",
    ["GET /v1/auth/user", "GET /v1/memberships", "POST */blobs", "POST */jobs", "GET */jobs/*", "GET */page-logs"],
)
def test_a_job_outlasts_an_outage_that_the_sdk_does_not(shell: Shell, lightning_cloud: LocalCloud, match: str) -> None:
    shell.write("quick.py", "print('once')\n")
    shell.job("script", scriptPathURI="quick.py")
    fault = lightning_cloud.faults.add("status", match=match, status=503, times=12)
    try:
        result, errors = shell.run_job()
        fired = next((known.fired for known in lightning_cloud.faults.list() if known.id == fault.id), 12)
    finally:
        lightning_cloud.faults.clear()
    assert fired
    assert (result["state"], errors.count("once\n")) == ("completed", 1)


def test_a_submission_that_is_refused_after_all_leaves_no_job(shell: Shell, lightning_cloud: LocalCloud) -> None:
    shell.write("slow.py", "import time\ntime.sleep(300)\n")
    document = shell.job("script", scriptPathURI="slow.py")
    document["spec"]["name"] = "refused"
    (shell.folder / "job.yaml").write_text(yaml.safe_dump(document))
    lightning_cloud.faults.add("status", match="POST */jobs", status=507, after_accept=True, times=0)
    try:
        code, output, errors = shell.call("run", "job.yaml")
    finally:
        lightning_cloud.faults.clear()
    assert (code, output) == (1, "")
    assert "error: cannot submit job" in errors
    assert [job.name for job in open_teamspace().jobs if job.name.startswith("refused")] == []
    shell.assert_nothing_runs()


def test_pytorch_runs_on_two_machines_that_know_their_ranks(shell: Shell) -> None:
    shell.write(
        "code/train.py",
        """
        import os
        import socket
        import sys

        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if rank == 0:
            with socket.create_server(address) as server:
                connection, _ = server.accept()
                heard = connection.makefile().readline().strip()
        else:
            while True:
                try:
                    connection = socket.create_connection(address)
                    break
                except ConnectionRefusedError:
                    pass
            with connection:
                connection.sendall(b"hello\\n")
            heard = "nothing"
        print(f"rank {rank} of {size} heard {heard} with {sys.argv[1:]}")
        """,
    )
    shell.job(
        "pyTorchDistributed", scriptPathURI="code", workingDir="code", replicas=2, command="torchrun train.py --lr 1"
    )
    result, errors = shell.run_job()
    assert result["state"] == "completed", errors
    assert "rank 0 of 2 heard hello with ['--lr', '1']" in errors
    assert "rank 1 of 2 heard nothing with ['--lr', '1']" in errors
    code, output, _ = shell.call("list", "--json")
    assert code == 0
    (listed,) = [job for job in json.loads(output) if job["name"] == result["name"]]
    assert (listed["state"], listed["machines"]) == ("completed", 2)
    # The listed name may be another one of the same machine.
    assert same_machine(listed["machine"], "CPU_X_2")


def test_a_rank_that_fails_fails_the_job_with_its_code(shell: Shell) -> None:
    shell.write(
        "train.py", "import os, time\nif os.environ['RANK'] == '0':\n    raise SystemExit(3)\ntime.sleep(300)\n"
    )
    shell.job("pyTorchDistributed", scriptPathURI="train.py", replicas=2)
    result, _ = shell.run_job()
    assert (result["state"], result["exit_code"]) == ("failed", 3)


def test_a_job_ends_at_its_time_limit(shell: Shell) -> None:
    shell.write("slow.py", "import time\ntime.sleep(300)\n")
    shell.job("script", scriptPathURI="slow.py", maximumRuntimeInMinutes=0.01)
    result, _ = shell.run_job()
    assert (result["state"], result["exit_code"]) == ("failed", 124)
    assert result["message"] == "timed out after 0.6 s (maximumRuntimeInMinutes)"


def test_interrupting_ends_the_job_and_the_cloud_of_its_own(shell: Shell) -> None:
    shell.write("slow.py", "import time\nprint('begun', flush=True)\ntime.sleep(300)\n")
    shell.job("script", scriptPathURI="slow.py")
    command = [sys.executable, "-m", "lightning_native", "job", "run", "job.yaml", "--local"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    home = shell.folder / "home of the cloud"
    environment = {**clean, "LIGHTNING_NATIVE_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            assert process.stderr is not None
            assert "begun\n" in iter(process.stderr.readline, "")
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=240)
        finally:
            process.kill()
    assert process.returncode == 130
    processes = subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert [line for line in processes.splitlines() if str(home) in line] == []


def test_a_detached_job_is_watched_by_its_name(shell: Shell) -> None:
    shell.write("quick.py", "import time\ntime.sleep(1)\nprint('quick \\x1b]0;a title\\x07one')\n")
    document = shell.job("script", scriptPathURI="quick.py")
    document["spec"]["name"] = "detached"
    (shell.folder / "job.yaml").write_text(yaml.safe_dump(document))
    code, output, errors = shell.call("run", "job.yaml", "--detach")
    assert code == 0, errors
    assert output.startswith("detached-")
    code, output, errors = shell.call("watch", "detached")
    assert (code, output) == (0, "quick one\n"), errors
    shell.assert_nothing_runs()


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("script", {"scriptPathURI": "main.py"}),
        ("python", {"scriptPathURI": "main.py"}),
        ("notebook", {"notebookPathURI": "a.ipynb"}),
        ("gitPython", {"url": "https://git.example/r.git", "entrypoint": "a.py", "skipMetadataUpdate": True}),
        ("container", {"image": "i:1"}),
        (
            "pyTorchDistributed",
            {"git": {"url": "https://git.example/r.git"}, "command": "torchrun a.py", "replicas": 2},
        ),
    ],
)
def test_a_file_of_ads_is_planned_and_converted_unchanged(shell: Shell, kind: str, spec: dict[str, Any]) -> None:
    given = shell.job(kind, **spec)
    code, output, errors = shell.call("plan", "job.yaml", "--json")
    assert code == 0, errors
    planned = json.loads(output)
    assert (planned["runtime"], planned["machine"], planned["machines"]) == (kind, "CPU_X_2", spec.get("replicas", 1))
    assert kind == "container" or any(CONDA["slug"] in warning for warning in planned["warnings"])
    code, output, errors = shell.call("convert", "job.yaml", "--to", "oci")
    assert code == 0, errors
    assert json.loads(output)["display_name"] == f"a {kind} job"
    code, output, errors = shell.call("convert", "job.yaml", "--to", "lightning", "--conda", f"{CONDA['slug']}=mine")
    assert code == 0, errors
    converted = yaml.safe_load(output)["spec"]
    assert converted["runtime"] == given["spec"]["runtime"]
    place = {"machine": "CPU_X_2"} if kind == "container" else {"machine": "CPU_X_2", "studio": "mine"}
    assert converted["infrastructure"] == {"kind": "infrastructure", "type": "lightning", "spec": place}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"scriptPathURI": "missing.py"}, "missing.py"),
        ({"scriptPathURI": "folder", "entrypoint": "missing.sh"}, "missing.sh is not in folder"),
        ({"scriptPathURI": "folder"}, "entrypoint"),
    ],
)
def test_a_job_without_its_code_is_not_submitted(shell: Shell, spec: dict[str, Any], words: str) -> None:
    shell.write("folder/a.py", "")
    shell.job("script", **spec)
    before = len(open_teamspace().jobs)
    code, output, errors = shell.call("run", "job.yaml")
    assert (code, output) == (1, "")
    assert words in errors
    assert len(open_teamspace().jobs) == before


@pytest.mark.parametrize("name", ["script", "python", "notebook", "container", "pytorch"])
def test_the_examples_run(shell: Shell, name: str) -> None:
    code, output, errors = shell.call("run", str(EXAMPLES / f"{name}.yaml"))
    assert code == 0, errors
    assert re.fullmatch(rf"{name}-[0-9a-f]{{6}} completed\n", output)


def test_a_studio_that_is_not_there_is_told(shell: Shell) -> None:
    shell.write("a.py", "")
    shell.job("script", scriptPathURI="a.py")
    code, output, errors = shell.call("run", "job.yaml", "--studio", "nobodys")
    assert (code, output) == (1, "")
    assert "no studio 'nobodys'" in errors
    shell.assert_nothing_runs()


def test_mistakes_are_told_without_a_traceback(shell: Shell) -> None:
    shell.write("job.yaml", "kind: job\nspec: {runtime: {type: nothing}}\n")
    shell.write("broken.yaml", "kind: [\n")
    for arguments in (
        ("plan", "broken.yaml"),
        ("plan", "job.yaml"),
        ("convert", "job.yaml", "--to", "oci"),
        ("extract", "nobody"),
    ):
        code, output, errors = shell.call(*arguments)
        assert (code, output) == (1, "")
        assert errors.startswith("error: ")
        assert any(word in errors for word in ("nothing", "nobody", "broken.yaml: while parsing"))
