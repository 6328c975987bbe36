"""A job runtime in the settings of a step."""

import json
from typing import Any

import pytest
from tests.support.workbench import Workbench

from lightning_native.errors import PlanError
from lightning_native.zenml.compiler.runtime import check_runtime

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "a",
            "metadata": {},
            "outputs": [],
            "source": "import os\nopen('found.txt', 'w').write(os.environ['DEPTH'])\nprint('explored')",
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.mark.spread(5)
def test_a_notebook_runs_before_its_steps_function_and_fails_its_step(workbench: Workbench) -> None:
    (workbench.folder / "explore.ipynb").write_text(json.dumps(NOTEBOOK))
    (workbench.folder / "broken.py").write_text("raise SystemExit(5)\n")
    code, output = workbench.run(
        """
from zenml import pipeline, step

EXPLORE = {"type": "notebook", "spec": {"notebookPathURI": "explore.ipynb", "env": [{"name": "DEPTH", "value": "3"}]}}
BROKEN = {"type": "script", "spec": {"scriptPathURI": "broken.py"}}

@step(enable_cache=False, settings={"orchestrator": {"runtime": EXPLORE}})
def explore() -> str:
    return open("found.txt").read()

@step(enable_cache=False, settings={"orchestrator": {"runtime": BROKEN}})
def broken() -> str:
    return "MUST NOT RUN"

@pipeline
def runtimes() -> None:
    explore()
    broken()

if __name__ == "__main__":
    try:
        runtimes()
    finally:
        from zenml.client import Client
        print("FOUND", Client().list_pipeline_runs(sort_by="desc:created")[0].steps["explore"].output.load())
"""
    )
    assert code != 0
    assert "[explore] explored" in output
    assert "FOUND 3" in output
    assert "exit code 5" in output
    assert workbench.statuses() == {"run": "failed", "explore": "completed", "broken": "failed"}
    workbench.assert_nothing_left()


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ({}, "needs a type and a spec"),
        ({"type": "script", "spec": {}, "more": 1}, "needs a type and a spec, and nothing else"),
        ({"type": "nothing", "spec": {}}, "nothing"),
        ({"type": "script", "spec": {}}, "scriptPathURI"),
        ({"type": "container", "spec": {"image": "x"}}, "a container cannot be a step"),
        ({"type": "script", "spec": {"scriptPathURI": "../x.py"}}, "not in the folder of the code"),
    ],
)
def test_a_runtime_that_no_step_can_run_is_refused_with_the_steps_name(runtime: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match="step 'train'") as error:
        check_runtime("train", runtime)
    assert words in str(error.value)
