"""The workbench of tests of whole pipelines: a ZenML configuration, a local cloud and a folder of code."""

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lightning_native.engine.record.journal import Journal
from tests.support.zygote import Zygote

# The longest time that the processes of a studio outlive its entry in the list.
_END_SECONDS = 10.0


@cache
def _zygote() -> Zygote:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))}
    modules = ("zenml.client", "zenml.zen_stores.sql_zen_store", "lightning_native.zenml.orchestrator")
    return Zygote(modules, {**environment, "ZENML_ANALYTICS_OPT_IN": "false"})


def register_stack(environment: dict[str, str], folder: Path) -> None:
    """Register the stack on the local cloud, and set it active, in the ZenML of these variables."""
    setup = "from lightning_native.zenml.stacks import register_local_stack; register_local_stack('local-cloud')"
    # `python -c` has no main module by which ZenML finds the user's code.
    rooted = {**environment, "ZENML_CUSTOM_SOURCE_ROOT": str(folder)}
    subprocess.run([sys.executable, "-c", setup], env=rooted, check=True, capture_output=True)


def new_zenml(folder: Path) -> dict[str, str]:
    """Create a ZenML configuration with the stack on the local cloud, and return the variables of its user."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))},
        "LIGHTNING_NATIVE_HOME": str(folder / "home"),
        "ZENML_CONFIG_PATH": str(folder / "config"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    register_stack(environment, folder)
    return environment


@dataclass
class Workbench:
    """A user's place: a ZenML configuration, a folder of code, and the state of the cloud after a run."""

    environment: dict[str, str]
    cloud_environment: dict[str, str]
    folder: Path

    @property
    def journal(self) -> Path:
        return Path(self.environment["LIGHTNING_NATIVE_HOME"]) / "journal.db"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def start(self, script: str, **environment: str) -> "subprocess.Popen[str]":
        """Start a pipeline script written to `pipeline.py`."""
        return subprocess.Popen(
            [sys.executable, str(self.write("pipeline.py", script))],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A process group of its own, as shells create one, which Ctrl-C in a terminal reaches.
            process_group=0,
        )

    def wait_for(self, process: "subprocess.Popen[str]", words: str) -> str:
        """Read a started script's output until a line has these words, and return the output up to it."""
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise AssertionError(f"the script ended without {words!r}:\n" + "".join(lines))

    def wait_for_file(self, name: str) -> None:
        """Wait until a step has created a file in the folder of code."""
        deadline = time.monotonic() + 240
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, name
            time.sleep(0.05)

    def command(self, *arguments: str) -> str:
        """Run a command of our command line, and return its output."""
        result = subprocess.run(
            [sys.executable, "-m", "lightning_native", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        """Run a pipeline script, and return its exit code and all of its output."""
        process = self.start(script, **environment)
        try:
            output, _ = process.communicate(timeout=400)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return process.returncode, output

    def python(self, code: str, environment: dict[str, str] | None = None) -> str:
        """Run code as the user, and return its output."""
        # A file, because ZenML searches for the user's code beside the main module.
        script = str(self.write("as_user.py", code))
        result = _zygote().run([script], {**self.environment, **(environment or {})}, timeout=400)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def newest_run(self) -> str:
        """Return ZenML's id of the newest run."""
        output = self.python(
            """
            from zenml.client import Client
            print("RUN", Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0].id)
            """
        )
        return output.split("RUN ")[1].strip()

    def statuses(self) -> dict[str, str]:
        """Return ZenML's status of the newest run, under "run", and of its steps."""
        output = self.python(
            """
            from zenml.client import Client
            run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
            print("run", run.status.value)
            for name, step in run.steps.items():
                print(name, step.status.value)
            """
        )
        return dict(line.rsplit(" ", 1) for line in output.splitlines() if " " in line)

    def reasons(self) -> dict[str, Any]:
        """Return the reasons that ZenML has of the newest run, under "run", and of its steps, and their "metadata"."""
        output = self.python(
            """
            import json
            from zenml.client import Client
            run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
            found = {"run": run, **{name: Client().get_run_step(step.id) for name, step in run.steps.items()}}
            reasons = {name: each.exception_info and each.exception_info.message for name, each in found.items()}
            metadata = {name: each.run_metadata for name, each in found.items()}
            print("REASONS " + json.dumps({**reasons, "metadata": metadata}))
            """
        )
        read: dict[str, Any] = json.loads(output.split("REASONS ")[1])
        return read

    def job_records(self) -> list[dict[str, Any]]:
        """Return the records of all jobs, as Lightning keeps them."""
        cloud = self.cloud_environment
        credentials = f"{cloud['LIGHTNING_USER_ID']}:{cloud['LIGHTNING_API_KEY']}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}

        def get(path: str) -> dict[str, Any]:
            request = urllib.request.Request(f"{cloud['LIGHTNING_CLOUD_URL']}/v1/{path}", headers=headers)  # noqa: S310  ours
            with urllib.request.urlopen(request) as answer:  # noqa: S310  as above
                found: dict[str, Any] = json.load(answer)
                return found

        (member,) = [each for each in get("memberships")["memberships"] if each["name"] == cloud["LIGHTNING_TEAMSPACE"]]
        found: list[dict[str, Any]] = get(f"projects/{member['projectId']}/jobs")["jobs"]
        return found

    def studios(self) -> list[str]:
        """Return the names of all studios on the cloud."""
        output = self.python(
            "import json; from lightning_native.lightning.session import connect\n"
            "print(json.dumps(connect().studio_names()))",
            self.cloud_environment,
        )
        found: list[str] = json.loads(output)
        return found

    def assert_nothing_left(self) -> None:
        """Check that no open lease, no studio, and no process of either is left."""
        with Journal(self.journal) as journal:
            assert journal.open_leases() == []
            ended = [record.run_id for record in journal.runs() if record.state != "running"]
        # The steps' secrets and the packed code are deleted at the end of a run.
        for run_id in ended:
            folder = self.journal.parent / "runs" / run_id
            assert not (folder / "environments.json").exists()
            assert not (folder / "code.tar.gz").exists()
        assert self.studios() == []
        home = self.environment["LIGHTNING_NATIVE_HOME"]
        deadline = time.monotonic() + _END_SECONDS
        while mine := _our_processes(home):
            assert time.monotonic() < deadline, mine
            time.sleep(0.1)


def _our_processes(home: str) -> list[str]:
    processes = subprocess.run(["ps", "axeww", "-o", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [
        line
        for line in processes.splitlines()
        if (".controller" in line or "agent.main" in line or "entrypoints" in line) and home in line
    ]
