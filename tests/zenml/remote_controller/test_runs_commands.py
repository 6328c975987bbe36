"""`lightning-native runs` about a run that a studio drives: from the machine that submitted it, and from another."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

GATED = """
import os, time
from zenml import pipeline, step

@step(enable_cache=False)
def good() -> int:
    print("good says hello")
    return 1

@step(enable_cache=False)
def gated(x: int) -> int:
    print("gated is here")
    deadline = time.monotonic() + 400
    while not os.path.exists(os.environ["GO"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return x

@pipeline(settings={
    "docker": {"runtime_environment": {"GO": os.environ.get("GO", "")}}, "orchestrator": {"synchronous": False},
})
def one_with_a_name_that_is_longer_than_others() -> None:
    gated(good())

if __name__ == "__main__":
    one_with_a_name_that_is_longer_than_others()
"""

Environ = Mapping[str, str]


def runs(environ: Environ, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lightning_native", "runs", *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def shown(environ: Environ, run_id: str) -> dict[str, Any]:
    done = runs(environ, "show", run_id, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def states(environ: Environ, run_id: str) -> dict[str, str]:
    view = shown(environ, run_id)
    return {"run": view["state"], **{step["name"]: step["state"] for step in view["steps"]}}


def has_printed(environ: Environ, run_id: str, step: str, line: str) -> bool:
    return line in runs(environ, "logs", run_id, "--step", step).stdout.splitlines()


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 400
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def elsewhere(workbench: Workbench, tmp_path: Path) -> dict[str, str]:
    """The variables of another machine, with the credentials and a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))}
    return {**kept, **workbench.cloud_environment, "LIGHTNING_NATIVE_HOME": str(tmp_path / "elsewhere")}


def submit(workbench: Workbench, go: Path) -> str:
    code, output = workbench.run(GATED, GO=str(go))
    assert code == 0, output
    assert "lightning-native runs logs" in output
    with Journal(workbench.journal) as journal:
        run_id = journal.runs(1)[0].run_id
    here = workbench.environment
    wait_until(lambda: states(here, run_id).get("gated") == "running")
    return run_id


def test_a_run_is_seen_and_stopped_from_any_machine(
    workbench: Workbench, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    run_id = submit(workbench, tmp_path / "go")
    here = workbench.environment
    for environ in (here, elsewhere):
        view = shown(environ, run_id)
        studio = view["controller_studio"]
        assert (view["run_id"], view["state"], view["ended"]) == (run_id, "running", None)
        assert {step["name"]: step["state"] for step in view["steps"]} == {"good": "succeeded", "gated": "running"}
        assert f"running  driven by studio {studio}" in runs(environ, "show", run_id[:12]).stdout
        assert runs(environ, "wait", run_id, "--timeout", "0").returncode == 1
        logs = runs(environ, "logs", run_id)
        assert "[good] good says hello\n" in logs.stdout, logs.stderr
        # A step is running before it has printed anything.
        wait_until(partial(has_printed, environ, run_id, "gated", "gated is here"))
        resumed = runs(environ, "resume", run_id)
        assert resumed.returncode == 1
        assert f"is driven by studio {studio}" in resumed.stderr
        unasked = runs(environ, "stop", run_id)
        assert unasked.returncode == 2
        assert "--yes" in unasked.stderr
    listed = json.loads(runs(here, "list", "--json").stdout)[0]
    assert (listed["state"], listed["controller_studio"], listed["problem"]) == ("running", studio, "")
    report = runs(here, "report", run_id, "--output", str(tmp_path / "report.html"))
    assert report.returncode == 0, report.stderr
    assert "gated" in (tmp_path / "report.html").read_text()

    alias = subprocess.run(
        [sys.executable, "-m", "lightning_native.zenml.remote", "logs", run_id],
        env=here,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[good] good says hello\n" in alias.stdout
    assert alias.stderr == f"use instead: lightning-native runs logs {run_id}\n"

    stopped = runs(elsewhere, "stop", run_id, "--yes")
    assert stopped.returncode == 0, stopped.stderr
    assert studio not in workbench.studios()
    assert workbench.statuses()["run"] == "stopped"
    assert runs(elsewhere, "show", run_id).returncode == 1
    waited = runs(here, "wait", run_id)
    assert waited.returncode == 1
    assert f"stopped  was driven by studio {studio}" in waited.stdout
    assert states(here, run_id) == {"run": "stopped", "controller": "stopped", "good": "succeeded", "gated": "stopped"}
    assert json.loads(runs(here, "list", "--json").stdout)[0]["state"] == "stopped"
    assert "start the pipeline again" in runs(here, "resume", run_id).stderr
    assert "[good] good says hello\n" in runs(here, "logs", run_id).stdout
    again = runs(here, "stop", run_id)
    assert (again.returncode, again.stderr) == (0, f"run {run_id} has ended already; it is stopped\n")
    workbench.assert_nothing_left()


def test_the_end_of_a_run_is_waited_for_wherever_it_is_driven(
    workbench: Workbench, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    run_id = submit(workbench, tmp_path / "go")
    waiting = [
        subprocess.Popen(
            [sys.executable, "-m", "lightning_native", "runs", *action, run_id],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environ in (workbench.environment, elsewhere)
        for action in (("wait",), ("logs", "-f"))
    ]
    (tmp_path / "go").touch()
    results = [(process.communicate(timeout=400), process.returncode) for process in waiting]
    assert [code for _, code in results[::2]] == [0, 0], results
    assert all("completed" in output for (output, _), _ in results[::2]), results
    assert all("[gated] gated is here" in output for (output, _), _ in results[1::2]), results
    here = workbench.environment
    wait_until(lambda: workbench.studios() == [])
    assert states(here, run_id) == dict.fromkeys(("good", "gated", "controller"), "succeeded") | {"run": "completed"}
    assert runs(here, "wait", run_id).returncode == 0
    assert "has completed" in runs(here, "resume", run_id).stderr
    workbench.assert_nothing_left()
