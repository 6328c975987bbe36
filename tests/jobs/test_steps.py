"""A runtime as a step of a workflow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.person import run_on_terminal

from lightning_native.errors import JobError, PlanError
from lightning_native.jobs import PythonRuntime, run_runtime
from lightning_native.jobs.step import step_command
from lightning_native.workflow.loader import load_workflow

WORKFLOW = """\
name: notebook and script
root: code
steps:
  explore:
    runtime:
      type: notebook
      spec: {notebookPathURI: nested/explore.ipynb, env: {FROM: file}, maximumRuntimeInMinutes: 5}
    env: {TO: nobody}
  report:
    needs: explore
    runtime: {type: python, spec: {scriptPathURI: report.py, entryFunction: main, args: [1, --two, 2.50]}}
"""
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "a",
            "metadata": {},
            "outputs": [],
            "source": "import os\nprint('explored', os.environ['FROM'], os.environ['TO'])",
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    (tmp_path / "code" / "nested").mkdir(parents=True)
    (tmp_path / "code" / "nested" / "explore.ipynb").write_text(json.dumps(NOTEBOOK))
    (tmp_path / "code" / "report.py").write_text("def main(*args, **options):\n    print('reported', args, options)\n")
    path = tmp_path / "workflow.yaml"
    path.write_text(WORKFLOW)
    return path


def test_a_notebook_and_a_function_run_as_steps(workflow: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    result = subprocess.run(
        [sys.executable, "-m", "lightning_native", "run", str(workflow), "--local", "--json"],
        env={**clean, "LIGHTNING_NATIVE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stderr
    assert "[explore] explored file nobody\n" in result.stderr
    assert "[report] reported ('1',) {'two': '2.5'}\n" in result.stderr


def test_a_runtime_runs_here_and_now(workflow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = workflow.parent / "code"
    run_runtime(PythonRuntime(scriptPathURI="report.py", entryFunction="main", args=["a"]), code=code)
    assert capsys.readouterr().out == "reported ('a',) {}\n"
    (code / "report.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(JobError, match="exit code 3"):
        run_runtime(PythonRuntime(scriptPathURI="report.py"), code=code)


def test_a_runtime_that_runs_here_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "report.py").write_text("print('\\x1b]0;a title\\x07one\\x1b[2J')\n")
    here = "from lightning_native.jobs import PythonRuntime, run_runtime\n"
    script = f"{here}run_runtime(PythonRuntime(scriptPathURI='report.py'), code={str(tmp_path)!r})"
    assert run_on_terminal([sys.executable, "-c", script], env=os.environ) == (0, b"one\r\n")
    as_it_came = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert as_it_came == b"\x1b]0;a title\x07one\x1b[2J\n"


def test_a_runtime_brings_its_limit_and_its_warnings(workflow: Path) -> None:
    text = WORKFLOW.replace("scriptPathURI: report.py,", "scriptPathURI: report.py, unknown: 1,")
    workflow.write_text(text)
    loaded = load_workflow(workflow, environment={}, translate_runtime=step_command)
    assert loaded.plan.step("explore").timeout == 300
    (warning,) = loaded.warnings
    assert warning.startswith(
        "step report: runtime.spec.unknown means nothing for python, and is ignored; the keys are: "
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("{runtime: {type: nothing, spec: {}}}", "workflow.yaml:2: steps.a.runtime: runtime type 'nothing'"),
        ("{runtime: {type: script, spec: {}}}", "scriptPathURI"),
        ("{runtime: {type: script}}", "`spec` is missing"),
        ("{runtime: {type: script, spec: {}, more: 1}}", "unknown key 'more'"),
        ("{command: ls, runtime: {type: script, spec: {scriptPathURI: a}}}", "remove one"),
        ("{needs: []}", "`command` is missing"),
    ],
)
def test_a_step_that_cannot_be_is_refused_at_its_line(tmp_path: Path, step: str, words: str) -> None:
    path = tmp_path / "workflow.yaml"
    path.write_text(f"steps:\n  a: {step}\n")
    with pytest.raises(PlanError) as error:
        load_workflow(path, environment={}, translate_runtime=step_command)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("container", {"image": "i"}, "container"),
        ("pyTorchDistributed", {"scriptPathURI": "a.py", "replicas": 2}, "one machine"),
        ("script", {"scriptPathURI": "/a.py"}, "folder of the code"),
        ("script", {"scriptPathURI": "../a.py"}, "folder of the code"),
        ("script", {"scriptPathURI": "https://h/a.py"}, "folder of the code"),
    ],
)
def test_a_runtime_that_needs_more_than_a_step_has_is_refused(kind: str, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        step_command(kind, spec)
