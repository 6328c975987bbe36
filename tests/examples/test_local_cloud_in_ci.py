"""The example of tests in CI: its tests pass as its workflow runs them, and find a studio that is left running."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import tomllib
import yaml
from tests.examples.conftest import EXAMPLES

FOLDER = EXAMPLES / "local_cloud_in_ci"
ROOT = EXAMPLES.parent


def run_tests(folder: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", folder],
        cwd=cwd,
        # No bytecode beside the example.
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_the_workflow_installs_what_there_is_and_its_tests_pass() -> None:
    steps = yaml.safe_load((FOLDER / "lightning.yml").read_text())["jobs"]["test"]["steps"]
    install, test = (shlex.split(step["run"]) for step in steps if "run" in step)
    extras = re.fullmatch(r"lightning-native\[(.*)\]", install[2])
    assert extras, install
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    assert (test[0], len(test)) == ("pytest", 2)
    result = run_tests(test[1], ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


def test_the_tests_of_the_example_find_a_studio_that_is_left(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "code")
    code = tmp_path / "code" / "nightly.py"
    text = code.read_text()
    assert "studio.delete()" in text
    code.write_text(text.replace("studio.delete()", "studio.stop()"))
    result = run_tests("code/test_nightly.py::test_a_failed_training_shows_its_output_and_the_studio_goes", tmp_path)
    assert "1 failed" in result.stdout, result.stdout + result.stderr
    assert "assert ['broken'] == []" in result.stdout
