"""One ZenML configuration with a stack on a local cloud, shared by the tests of the examples."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.workbench import Workbench, new_zenml

from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepRecord
from lightning_native.engine.record.run_folder import RunFolder

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class User(Workbench):
    """A reader of the examples, with a local cloud."""

    def run_example(self, script: str, *arguments: str, folder: Path = EXAMPLES, code: int = 0) -> str:
        """Run an example as its first lines have it, check its exit code, and return all of its output."""
        process = subprocess.run(
            [sys.executable, str(folder / script), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert process.returncode == code, process.stdout
        return process.stdout

    def steps(self) -> dict[str, StepRecord]:
        """Return the steps of the newest run by their names."""
        with Journal(self.journal) as journal:
            return {step.name: step for step in journal.steps(journal.runs(1)[0].run_id)}

    def newest_folder(self) -> RunFolder:
        """Return the folder of the newest run."""
        with Journal(self.journal) as journal:
            return RunFolder(self.journal.parent / "runs" / journal.runs(1)[0].run_id)


@pytest.fixture(scope="session")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return new_zenml(tmp_path_factory.mktemp("zenml"))


@pytest.fixture(scope="session")
def cloud(zenml_home: dict[str, str]) -> Iterator[LocalCloud]:
    """Run the local cloud that `--cloud=local` finds."""
    with LocalCloud(Path(zenml_home["LIGHTNING_NATIVE_HOME"]) / "cloud") as cloud:
        yield cloud


@pytest.fixture
def user(zenml_home: dict[str, str], cloud: LocalCloud, tmp_path: Path) -> User:
    return User(zenml_home, dict(cloud.environ), tmp_path)
