"""Workflow files and jobs of all kinds on machines that know nothing about the computer that submits them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from tests.support.servers.host_address import host_address

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.strict

EXAMPLES = Path(__file__).parents[2] / "examples"


class Shell:
    """A user's shell, with the account of a cloud."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
        self._environment = {**own, **cloud.environ, "LIGHTNING_NATIVE_HOME": str(folder / "home")}

    def call(self, *arguments: str) -> tuple[str, str]:
        """Run a command of ours that succeeds, and return its output and its errors."""
        command = [sys.executable, "-m", "lightning_native", *arguments]
        result = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=500
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout, result.stderr


@pytest.fixture
def shell(cloud: LocalCloud, tmp_path: Path) -> Shell:
    return Shell(cloud, tmp_path)


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_workflow_file_runs(shell: Shell, tmp_path: Path, placement: str) -> None:
    steps = {
        "look": {"command": "id -un; pwd; python -c 'import sys; print(sys.version_info[:2])'; cat data.txt"},
        "install": {"command": "python -c 'import packaging; print(packaging.__version__)'", "needs": "look"},
    }
    workflow = {
        "name": f"abroad {placement}",
        "root": ".",
        "placement": placement,
        "requirements": ["packaging==24.0"],
        "steps": steps,
    }
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "data.txt").write_text("from the archive\n")
    (tmp_path / "code" / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    _, errors = shell.call("run", str(tmp_path / "code" / "workflow.yaml"))
    for line in ("zeus", "(3, 12)", "from the archive", "24.0"):
        assert f"] {line}\n" in errors
    assert str(tmp_path) not in "".join(line for line in errors.splitlines() if line.startswith("[look]"))


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("script", "Hello, you"),
        ("python", "last loss:"),
        ("notebook", "6"),
        ("container", "Hello from a container"),
        ("pytorch", "rank 1 of 2"),
    ],
)
def test_an_example_of_a_job_runs(shell: Shell, name: str, printed: str) -> None:
    output, errors = shell.call("job", "run", str(EXAMPLES / "jobs" / f"{name}.yaml"), "--json")
    assert json.loads(output)["exit_code"] == 0
    assert printed in errors


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder under an address that machines reach, and yield its URL."""
    with host_address() as address:
        server = ThreadingHTTPServer((address, 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def test_a_script_of_a_git_repository_runs(shell: Shell, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "main.py").write_text("print('from the repository')\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    for command in (["init"], ["add", "."], ["commit", "-m", "first"], ["update-server-info"]):
        subprocess.run(["git", *identity, *command], cwd=repository, capture_output=True, check=True)
    job = yaml.safe_load((EXAMPLES / "jobs" / "git.yaml").read_text())
    with served(tmp_path) as url:
        job["spec"]["runtime"]["spec"].update(url=f"{url}/repository/.git", entrypoint="main.py")
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
        _, errors = shell.call("job", "run", str(tmp_path / "job.yaml"))
    assert "from the repository\n" in errors
