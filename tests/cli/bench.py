"""A user's shell for workflow files, with the state of the local cloud after a run."""

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.support.person import answer_at_terminal

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder


@dataclass
class Bench:
    """A user's shell, with a local cloud that runs for all tests of this file."""

    environment: dict[str, str]
    cloud_environment: dict[str, str]
    folder: Path

    def write(self, text: str) -> Path:
        path = self.folder / "workflow.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    def start(self, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "lightning_native", *map(str, arguments)],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def answer(self, answer: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command at a terminal at which a person types this answer."""
        command = [sys.executable, "-m", "lightning_native", *arguments]
        return answer_at_terminal(command, answer, env=self.environment, cwd=self.folder)

    def call(self, *arguments: object, **environment: str) -> tuple[int, str, str]:
        """Run a command; return exit code, stdout and stderr."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=400)
        return process.returncode, output, errors

    def journal(self) -> Journal:
        return Journal(Path(self.environment["LIGHTNING_NATIVE_HOME"]) / "journal.db")

    def assert_nothing_left(self, run_id: str) -> None:
        """Check that no open lease, running studio, process or secret of a run is left."""
        with self.journal() as journal:
            assert [lease.name for lease in journal.leases(run_id) if lease.released is None] == []
        script = (
            "from lightning_native.lightning.session import open_teamspace\n"
            "teamspace = open_teamspace()\n"
            "print([s.name for s in teamspace.studios if str(s.status) == 'Running'], [j.name for j in teamspace.jobs])"
        )
        left = subprocess.run(
            [sys.executable, "-c", script],
            env={**self.environment, **self.cloud_environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert left.stdout.strip() == "[] []"
        home = Path(self.environment["LIGHTNING_NATIVE_HOME"])
        folder = RunFolder(home / "runs" / run_id)
        assert not folder.is_driven()
        assert not list(folder.path.glob("environments.json"))
        processes = subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        mine = ("engine.process.controller", "agent.main")
        assert [line for line in processes.splitlines() if str(home) in line and any(m in line for m in mine)] == []
