"""Credentials of a job's repository: available to Git, never in the job's description, never shown to others."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.canary import CanaryWatch
from tests.support.servers.private_index import Index

from lightning_native.cli import main
from lightning_native.errors import JobError
from lightning_native.jobs import lightning, runtime_from_spec
from lightning_native.jobs.driver.distributed import install
from lightning_native.jobs.driver.errors import DriverError
from lightning_native.jobs.driver.transfer import copy_output, fetch
from lightning_native.jobs.lightning.program import PROGRAM, driver_program
from lightning_native.jobs.step import step_command


def run_driver(folder: Path, spec: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the driver as a job does that clones its code."""
    (folder / PROGRAM).write_bytes(driver_program())
    description = {"spec": {"runtime": {"type": "gitPython", "spec": spec}}}
    environment = {**os.environ, "LIGHTNING_NATIVE_JOB": json.dumps(description)}
    return subprocess.run(
        [sys.executable, PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    index = Index(folder)
    yield index
    index.close()


def test_a_private_repository_is_cloned_with_a_variable(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add_repository("model")
    secret = quote(index.password, safe="")
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("GIT_TOKEN", secret)
    monkeypatch.delenv("CODE_DIR", raising=False)
    folders = {"home": home, "temporary": temporary}
    with CanaryWatch({"password": index.password, "quoted": secret}, folders) as watch:
        spec = {"url": f"http://me:${{GIT_TOKEN}}@{index.host}/model.git", "entrypoint": "model/__init__.py"}
        result = run_driver(home, spec)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"http://{index.host}/model.git at commit" in result.stdout
    assert secret not in result.stdout + result.stderr
    assert watch.looks
    assert watch.arguments == set()
    assert watch.scan() == set()


def test_a_variable_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    spec = {"url": "https://${NO_SUCH_TOKEN}@127.0.0.1:1/x.git", "entrypoint": "x.py"}
    result = run_driver(tmp_path, spec)
    assert result.returncode == 1
    assert "the job has no variable NO_SUCH_TOKEN" in result.stdout


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("gitPython", {"url": "https://user:hunter2@host/x.git", "entrypoint": "a.py"}),
        ("gitPython", {"url": "https://ghp_hunter2hunter2hunter2@host/x.git", "entrypoint": "a.py"}),
        ("pyTorchDistributed", {"git": {"url": "https://u:hunter2@host/x.git"}, "command": "torchrun a.py"}),
        ("python", {"scriptPathURI": "https://u:hunter2@host/x.zip"}),
        ("python", {"scriptPathURI": "https://host/x.zip?X-Amz-Signature=hunter2"}),
        ("notebook", {"notebookPathURI": "https://u:hunter2@host/x.ipynb"}),
        ("python", {"scriptPathURI": "a.py", "outputDir": "o", "outputUri": "s3://key:hunter2@bucket/x"}),
        (
            "pyTorchDistributed",
            {"scriptPathURI": "a.py", "command": "x", "inputs": {"https://u:hunter2@host/x": "data/"}},
        ),
        (
            "pyTorchDistributed",
            {"scriptPathURI": "a.py", "command": "x", "dependencies": {"pipPackages": "git+https://u:hunter2@host/x"}},
        ),
    ],
)
def test_credentials_that_are_written_out_are_refused_and_not_shown(
    kind: str, spec: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = runtime_from_spec(kind, spec)
    with pytest.raises(JobError, match="write a variable in their place") as refused:
        lightning.translate(runtime)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(JobError) as as_step:
        step_command(kind, spec)
    assert "hunter2" not in str(as_step.value)
    (tmp_path / "job.yaml").write_text(lightning_yaml(kind, spec))
    assert main(["job", "plan", str(tmp_path / "job.yaml")]) == 1
    assert "hunter2" not in "".join(capsys.readouterr())


def lightning_yaml(kind: str, spec: dict[str, object]) -> str:
    from lightning_native.jobs import Job

    return Job(name="x", runtime=runtime_from_spec(kind, spec)).to_yaml()


def test_a_password_in_an_argument_is_told() -> None:
    spec = {"scriptPathURI": "a.py", "args": ["--db", "postgres://me:hunter2@host/db"]}
    warnings = lightning.translate(runtime_from_spec("python", spec)).warnings
    assert any("has credentials" in warning for warning in warnings)
    assert not any("hunter2" in warning for warning in warnings)


def test_packages_of_a_private_host_are_no_arguments(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    index.add("ln_private")
    secret = quote(index.password, safe="")
    monkeypatch.setenv("INDEX_PASSWORD", secret)
    target = tmp_path / "target"
    # Files of the job's code with the names of modules that pip imports; pip must not import these files.
    (tmp_path / "code").mkdir()
    for name in ("queue.py", "runpy.py"):
        (tmp_path / "code" / name).write_text("raise SystemExit('the code ran')")
    monkeypatch.chdir(tmp_path / "code")
    monkeypatch.setenv("PIP_TARGET", str(target))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    package = f"ln_private@http://me:${{INDEX_PASSWORD}}@{index.host}/files/ln_private-1.0-py3-none-any.whl"
    folders = {"target": target, "cache": tmp_path / "cache"}
    with CanaryWatch({"password": index.password, "quoted": secret}, folders) as watch:
        install({"pipPackages": ["--no-deps", package]})
    assert (target / "ln_private").is_dir()
    assert watch.looks
    assert watch.arguments == set()
    assert watch.scan() == set()
    assert secret not in "".join(capfd.readouterr())


def test_an_input_of_a_private_host_is_fetched_and_its_account_is_not_shown(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    (index.folder / "data.txt").write_text("data")
    secret = quote(index.password, safe="")
    monkeypatch.setenv("INPUT_PASSWORD", secret)
    fetch(f"http://me:${{INPUT_PASSWORD}}@{index.host}/data.txt", str(tmp_path / "data.txt"))
    assert (tmp_path / "data.txt").read_text() == "data"
    monkeypatch.setenv("INPUT_PASSWORD", "wrong-hunter2")
    with pytest.raises(DriverError, match="401") as failed:
        fetch(f"http://me:${{INPUT_PASSWORD}}@{index.host}/data.txt?token=hunter2", str(tmp_path / "data.txt"))
    assert "hunter2" not in str(failed.value)


def test_where_the_output_went_is_told_without_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "output").mkdir()
    monkeypatch.setenv("STORE_PASSWORD", "hunter2")
    copy_output(str(tmp_path / "output"), "nowhere://me:${STORE_PASSWORD}@bucket/x")
    told = capsys.readouterr().out
    assert "nowhere://***@bucket/x" in told
    assert "hunter2" not in told
