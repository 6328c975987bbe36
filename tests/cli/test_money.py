"""Budgets and costs on the command line."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import StepPlan

WORKFLOW = """
name: priced
machine: CPU
steps:
  long: {command: sleep 1000, timeout: 10h}
"""


def command(
    *arguments: str, folder: Path | None = None, environ: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lightning_native", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env={**os.environ, **(environ or {})},
    )


def answer(result: "subprocess.CompletedProcess[str]") -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workflow"
    folder.mkdir()
    (folder / "workflow.yaml").write_text(WORKFLOW)
    return folder


@pytest.mark.usefixtures("runner")
def test_a_monthly_budget_is_set_shown_and_removed(lightning_cloud: LocalCloud) -> None:
    environ = lightning_cloud.environ
    assert answer(command("budget", "--json", environ=environ))["monthly_budget"] is None
    assert "$50.00 a month" in command("budget", "set", "50/month", environ=environ).stdout
    shown = answer(command("budget", "show", "--json", environ=environ))
    assert (shown["monthly_budget"], shown["spent"], shown["balance"]) == (50.0, 0.0, None)
    for wrong in ("0", "much", "-3/month", "5/week"):
        refused = command("budget", "set", wrong, environ=environ)
        assert refused.returncode == 2, refused
    assert answer(command("budget", "clear", "--json", environ=environ))["monthly_budget"] is None


@pytest.mark.usefixtures("runner")
def test_a_run_that_would_cost_more_than_its_budget_is_refused(lightning_cloud: LocalCloud, folder: Path) -> None:
    environ = lightning_cloud.environ
    shown = command("plan", "workflow.yaml", "--budget", "0.0001", folder=folder, environ=environ)
    assert shown.returncode == 1
    assert "its budget is $0.0001" in shown.stdout
    assert "more than its budget of $0.0001" in shown.stderr
    refused = command("run", "workflow.yaml", "--budget", "0.0001", folder=folder, environ=environ)
    assert (refused.returncode, "more than its budget of $0.0001" in refused.stderr) == (1, True)
    assert answer(command("runs", "--json")) == []
    fits = command("plan", "workflow.yaml", "--budget", "5", "--json", folder=folder, environ=environ)
    assert answer(fits)["budget"] == 5.0


@pytest.mark.usefixtures("runner")
def test_a_run_that_would_cost_more_than_is_left_this_month_is_refused(
    lightning_cloud: LocalCloud, folder: Path
) -> None:
    environ = lightning_cloud.environ
    assert command("budget", "set", "0.0001/month", environ=environ).returncode == 0
    refused = command("run", "workflow.yaml", folder=folder, environ=environ)
    assert refused.returncode == 1
    assert "what is left of the teamspace's budget for this month" in refused.stderr


def test_a_low_balance_is_a_warning(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(parts={"balance": 0.001}) as cloud:
        result = command("plan", "workflow.yaml", folder=folder, environ=cloud.environ)
        assert result.returncode == 0, result.stderr
        assert "Lightning tells of a balance of $0.0010" in result.stdout


def test_what_runs_have_cost_is_shown_by_day_machine_and_pipeline(runner: Runner) -> None:
    assert runner.drive(runner.make("job", StepPlan("a", ("sleep", "0.5")), StepPlan("b", ("true",)))) == 0
    assert runner.drive(runner.make("studio", StepPlan("c", ("sleep", "0.5")))) == 0
    rows = answer(command("runs", "costs", "--json"))
    assert [(row["day"], row["machine"], row["pipeline"]) for row in rows] == [
        (time.strftime("%Y-%m-%d"), "CPU", "engine test")
    ]
    assert rows[0]["runs"] == 2
    assert rows[0]["dollars"] > 0
    assert rows[0]["seconds"] > 1
    table = list(csv.reader(io.StringIO(command("runs", "costs", "--csv", "--by", "pipeline").stdout)))
    assert table == [
        ["pipeline", "runs", "seconds", "dollars"],
        ["engine test", "2", str(rows[0]["seconds"]), str(rows[0]["dollars"])],
    ]
    assert "total" in command("runs", "costs").stdout
    assert command("runs", "costs", "--json", "--csv").returncode == 2
    assert command("runs", "costs", "--days", "0").returncode == 2


def test_a_job_ends_at_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "slow.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(10000)\n")
    (tmp_path / "job.yaml").write_text(
        "kind: job\nname: slow\nspec:\n"
        "  infrastructure: {kind: infrastructure, type: lightning, spec: {machine: CPU, budget: 0.02}}\n"
        "  runtime: {kind: runtime, type: python, spec: {scriptPathURI: slow.py}}\n"
    )
    with LocalCloud(clock_rate=30) as cloud:
        planned = answer(command("job", "plan", "job.yaml", "--json", folder=tmp_path, environ=cloud.environ))
        assert planned["budget"] == 0.02
        tiny = command("job", "run", "job.yaml", "--budget", "0.000001", folder=tmp_path, environ=cloud.environ)
        assert (tiny.returncode, "raise it" in tiny.stderr) == (1, True)
        ended = command("job", "run", "job.yaml", "--json", folder=tmp_path, environ=cloud.environ)
        result = json.loads(ended.stdout)
        # By the limit of its command, which also holds where nobody waits for it.
        assert (ended.returncode, result["state"], result["exit_code"]) == (1, "failed", 124)
        assert 0.01 < result["cost"] <= 0.02 * 1.05
