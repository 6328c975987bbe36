"""The driver on a job's machine: launchers with options about the machines, keys and arguments, and the output."""

import ast
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_native.jobs import driver
from lightning_native.jobs.driver.distributed import launch_options, split_launcher, torchrun_program
from lightning_native.jobs.driver.execution import arguments_of_function
from lightning_native.jobs.driver.repository import KEY_VARIABLE, git_environment
from lightning_native.jobs.lightning.program import PROGRAM, driver_program


def options_for(command: str, *, nodes: int = 2, rank: int = 1, gpus: int = 4) -> list[str]:
    launcher, _ = split_launcher(command)
    return launch_options(launcher, command, nodes, rank, gpus, "10.0.0.1")


def test_torchrun_is_told_about_the_machines() -> None:
    assert options_for("torchrun train.py") == [
        "--nproc_per_node=4",
        "--nnodes=2",
        "--node_rank=1",
        "--rdzv_backend=c10d",
        "--rdzv_endpoint=10.0.0.1:29400",
    ]
    assert options_for("torchrun train.py", nodes=1) == ["--standalone", "--nproc_per_node=4"]


def test_what_a_command_says_itself_counts() -> None:
    command = "torchrun --nproc-per-node=2 --rdzv_backend=static --nnodes 3 train.py"
    assert options_for(command) == ["--node_rank=1"]
    assert options_for("torchrun --standalone train.py", nodes=1) == ["--nproc_per_node=4"]


def test_accelerate_and_deepspeed_are_told_in_their_words() -> None:
    assert options_for("accelerate launch train.py --main_process_port 1") == [
        "--num_processes=8",
        "--num_machines=2",
        "--machine_rank=1",
        "--main_process_ip=10.0.0.1",
    ]
    assert options_for("accelerate launch --use_deepspeed train.py")[-1] == "--deepspeed_multinode_launcher=standard"
    no_ssh, hosts, *others = options_for("deepspeed train.py")
    assert no_ssh == "--no_ssh"
    assert Path(hosts.removeprefix("--hostfile=")).read_text() == "worker-0 slots=4\nworker-1 slots=4\n"
    assert others == ["--node_rank=1", "--master_addr=10.0.0.1", "--master_port=29400"]
    assert options_for("deepspeed train.py", nodes=1) == []


def test_any_other_command_is_left_as_it_is() -> None:
    assert split_launcher("torchrunner x") == ("", "torchrunner x")
    assert options_for("mpirun x") == []


@pytest.mark.parametrize(
    ("arguments", "count", "program"),
    [
        (["train.py", "--lr", "1"], 3, ["train.py", "--lr", "1"]),
        (["--nproc_per_node=2", "--nnodes", "5", "a.py", "-m"], 2, ["a.py", "-m"]),
        (["--standalone", "--nproc-per-node", "2", "-m", "pkg.train", "x"], 2, ["-m", "pkg.train", "x"]),
    ],
)
def test_without_torchrun_its_options_are_not_taken_for_the_script(
    arguments: list[str], count: int, program: list[str]
) -> None:
    assert torchrun_program(arguments, 3) == (count, [sys.executable, "-u", *program])


def test_arguments_of_a_function_are_what_ads_makes_of_them() -> None:
    assert arguments_of_function(["a", "--key", "b", "c", "--flag", "--x", "-1", "--"]) == (
        ["a", "c", "--"],
        {"key": "b", "flag": None, "x": "-1"},
    )


def test_git_gets_the_key_in_a_file_of_its_own_and_nobody_else_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "MY_KEY")
    monkeypatch.setenv("MY_KEY", "the key")
    with git_environment() as environment:
        key = Path(environment["GIT_SSH_COMMAND"].split()[2])
        assert key.read_text() == "the key\n"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert "the key" not in environment.values()
        assert "MY_KEY" not in os.environ
    assert not key.exists()


def start_driver(folder: Path, kind: str, spec: dict[str, Any], *, placed: bool = True) -> "subprocess.Popen[str]":
    """Start the driver as a job does, with the code in place, or packed beside the driver."""
    (folder / PROGRAM).write_bytes(driver_program())
    description = {"spec": {"runtime": {"type": kind, "spec": spec}}}
    environment = {**os.environ, "LIGHTNING_NATIVE_JOB": json.dumps(description)}
    if placed:
        environment["LIGHTNING_NATIVE_JOB_CODE"] = "."
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, PROGRAM], cwd=folder, env=environment, **pipes)


def run_driver(
    folder: Path, kind: str, spec: dict[str, Any], *, placed: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run the driver to its end."""
    with start_driver(folder, kind, spec, placed=placed) as process:
        output, errors = process.communicate(timeout=240)
    return subprocess.CompletedProcess([], process.returncode, output, errors)


def test_an_entrypoint_may_be_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "main.py").write_text("print('found')\n")
    for entrypoint in ("main.py", "folder/main.py"):
        result = run_driver(tmp_path, "python", {"scriptPathURI": "folder/", "entrypoint": entrypoint})
        assert (result.returncode, result.stdout) == (0, "found\n")


def test_a_failing_script_shows_its_own_traceback_only(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def inner():\n    raise ValueError('mine')\n\ninner()\n")
    result = run_driver(tmp_path, "python", {"scriptPathURI": "main.py"})
    assert result.returncode == 1
    assert "ValueError: mine" in result.stderr
    assert "lightning_native_driver" not in result.stderr


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("sys.exit('no')", 1), ("sys.exit()", 0), ("", 0)])
def test_the_code_that_a_script_ends_with_is_kept(tmp_path: Path, ending: str, code: int) -> None:
    (tmp_path / "main.py").write_text(f"import sys\n{ending}\n")
    assert run_driver(tmp_path, "python", {"scriptPathURI": "main.py"}).returncode == code


def test_inputs_come_before_the_code_runs_and_output_that_cannot_go_is_told(tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given")
    spec = {
        "scriptPathURI": "given.txt",
        "command": "mkdir out; cat data/input.txt; echo; echo result > out/r.txt; exit 4",
        "inputs": {str(tmp_path / "given.txt"): "data/input.txt"},
        "outputDir": "out",
        "outputUri": "nowhere://b/p",
    }
    result = run_driver(tmp_path, "pyTorchDistributed", spec)
    assert result.returncode == 4
    assert "given\n" in result.stdout
    assert f"the output stays in {tmp_path / 'out'}" in result.stdout


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    for spec, words in (
        ({"scriptPathURI": "main.py", "entrypoint": "other.py"}, "other.py is not there"),
        ({"scriptPathURI": "main.py", "workingDir": "elsewhere"}, "elsewhere is not there"),
        ({"scriptPathURI": "main.py", "entryFunction": "go"}, "no function go"),
    ):
        result = run_driver(tmp_path, "python", spec)
        assert result.returncode == 1
        assert words in result.stdout
        assert "Traceback" not in result.stderr


def test_what_ends_the_driver_lets_it_save_what_there_is(tmp_path: Path) -> None:
    lines = (
        "import os, time",
        "os.mkdir('out')",
        "os.mknod('out/r.txt')",
        "print('begun', flush=True)",
        "time.sleep(300)",
    )
    (tmp_path / "main.py").write_text("\n".join(lines))
    spec = {"scriptPathURI": "main.py", "outputDir": "out", "outputUri": "saved"}
    with start_driver(tmp_path, "python", spec) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.wait(timeout=240) == 128 + signal.SIGTERM
    assert (tmp_path / "saved" / "r.txt").exists()


def test_code_that_did_not_arrive_whole_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.tar.gz").write_bytes(b"\x1f\x8b half of it")
    result = run_driver(tmp_path, "script", {"scriptPathURI": "code", "entrypoint": "a.sh"}, placed=False)
    assert result.returncode == 1
    assert "did not arrive whole" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_driver_is_written_for_older_pythons_than_ours() -> None:
    for path in Path(driver.__file__).parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 8))
