"""The command contacts nothing for a plan, spends no more than it may, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conformance.runner import COMMAND, check_of, conformance, environ

from lightning_native.conformance.checks import CHECKS
from lightning_native.conformance.plan import plan_of
from lightning_native.conformance.spending import Spending
from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal
from lightning_native.errors import UsageError
from lightning_native.lightning.session import connect

# A process in which every connection, name look-up and program is an error.
_ALONE = """
import socket, subprocess, sys

def refuse(*_arguments, **_options):
    raise AssertionError("contacted something")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
subprocess.Popen.__init__ = refuse
from lightning_native.cli import main
code = main(sys.argv[1:])
assert "lightning_sdk" not in sys.modules
sys.exit(code)
"""


@pytest.mark.parametrize("action", ["--plan", "--list"])
def test_plan_and_list_contact_nothing(action: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _ALONE, "conformance", action, "--json"],
        env=environ(tmp_path, {}),
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(result.stdout)
    if action == "--list":
        assert [check["id"] for check in shown] == [check.id for check in CHECKS]
        return
    named = [name for experiment in shown["experiments"] for name in experiment["checks"]]
    assert sorted(named) == sorted(check.id for check in CHECKS)
    assert 0 < shown["dollars"] <= 0.5
    assert shown["seconds"] > 0
    assert {experiment["machine"] for experiment in shown["experiments"]} == {"", "CPU", "CPU_X_8"}


def test_a_plan_has_what_its_checks_need_and_no_more() -> None:
    plan = plan_of(CHECKS, ["switch-happens"])
    assert [check.id for check in plan.checks] == ["switch-happens"]
    assert [experiment.name for experiment in plan.experiments] == ["studio", "switch"]
    assert [experiment.name for experiment in plan_of(CHECKS, ["missing-job-is-404"]).experiments] == ["account"]
    with pytest.raises(UsageError, match="no-such-check"):
        plan_of(CHECKS, ["no-such-check"])


def test_a_plan_above_the_limit_does_not_begin(tmp_path: Path) -> None:
    # An address at which nothing answers: it is not asked.
    nowhere = {
        "LIGHTNING_CLOUD_URL": "http://127.0.0.1:9",
        "LIGHTNING_API_KEY": "key",
        "LIGHTNING_USER_ID": "id",
        "LIGHTNING_USERNAME": "me",
        "LIGHTNING_TEAMSPACE": "team",
    }
    code, report, said = conformance(tmp_path, nowhere, "--yes", "--max-cost", "0.1")
    assert (code, report) == (2, {})
    assert "above --max-cost 0.10" in said


def test_without_a_terminal_it_does_not_begin_unasked(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "--only", "new-studio-does-not-run"],
        env=environ(tmp_path, lightning_cloud.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "--yes" in result.stderr
    assert left_behind() == []


def test_spending_is_price_by_time_of_all_machines() -> None:
    now = 0.0
    spending = Spending(1.0, clock=lambda: now)
    with spending.of(0.5):
        now = 1800.0
        assert spending.dollars == pytest.approx(0.25)
        with spending.of(1.0):
            now = 3600.0
            assert spending.dollars == pytest.approx(1.0)
            assert not spending.is_over
        now = 3700.0
        assert spending.is_over
    now = 99_999.0
    assert spending.dollars == pytest.approx(0.5 * 3700 / 3600 + 0.5)


def test_the_limit_ends_a_run_whose_plan_was_below_it(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    # The plan of this run says that it costs nothing.
    code = """
import dataclasses, json, sys
from lightning_native.conformance.checks import CHECKS
from lightning_native.conformance.plan import plan_of
from lightning_native.conformance.report import described
from lightning_native.conformance.run import run_suite

plan = plan_of(CHECKS, ["detached-process-goes-on"])
free = {each: dataclasses.replace(each, billed=0.0) for each in plan.experiments}
checks = tuple(dataclasses.replace(check, experiment=free[check.experiment]) for check in plan.checks)
plan = dataclasses.replace(plan, checks=checks, experiments=tuple(free.values()))
result = run_suite(plan, max_cost=1e-9, rate=20.0, say=print)
json.dump(described(result, cloud="test"), sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environ(tmp_path, lightning_cloud.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    report = json.loads(result.stderr[result.stderr.index('{"format"') :])
    assert report["ended"].startswith("it has cost")
    assert report["left"] == []
    assert check_of(report, "detached-process-goes-on")["verdict"] == "not checkable"
    assert left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(
    lightning_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    page = tmp_path / "report.md"
    process = subprocess.Popen(
        [*COMMAND, "--yes", "--clock-rate", "20", "--report", str(page)],
        env=environ(tmp_path / "home", lightning_cloud.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 300
    # A studio and a job.
    while not all(any(word in name for name in left_behind()) for word in ("-studio-", "-in-an-image-")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "interrupted: ending" in said
    assert "left over" not in said
    assert left_behind() == []
    assert "The run ended before its time: it was interrupted." in page.read_text()
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with Journal() as journal:
        assert journal.open_leases() == []


def test_what_a_killed_run_left_is_released_by_gc(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    variables = environ(tmp_path, lightning_cloud.environ)
    process = subprocess.Popen(
        [*COMMAND, "--yes", "--clock-rate", "20", "--only", "running-is-not-ready"],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not left_behind():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    # A request that was sent before may still create something.
    subprocess.run(
        [sys.executable, "-m", "lightning_native", "gc", "--yes"], env=variables, check=True, capture_output=True
    )
    assert left_behind() == []


def left_behind() -> list[str]:
    """Return the names of the suite's things on the session's cloud."""
    cloud = connect()
    return [name for name in (*cloud.studio_names(), *cloud.job_names()) if name.startswith("conformance-")]


@pytest.fixture(autouse=True)
def _signed_in(lightning_cloud: LocalCloud) -> None:
    assert os.environ["LIGHTNING_CLOUD_URL"] == lightning_cloud.url


def test_a_difference_is_reported_with_what_was_seen(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    lightning_cloud.faults.add("status", match="GET */jobs/job-that-is-not-there", status=400, times=0)
    page = tmp_path / "report.md"
    only = ("--only", "missing-job-is-404", "price-list-is-not-empty")
    try:
        code, report, _ = conformance(tmp_path, lightning_cloud.environ, "--yes", *only, "--report", str(page))
    finally:
        lightning_cloud.faults.clear()
    assert code == 1
    assert report["counts"] == {"as assumed": 1, "different": 1, "not checkable": 0}
    assert check_of(report, "missing-job-is-404")["seen"] == "status 400"
    text = page.read_text()
    assert text.index("## Different") < text.index("`missing-job-is-404`") < text.index("## As assumed")
    assert "status 400" in text
    code, report, _ = conformance(tmp_path, lightning_cloud.environ, "--yes", *only)
    assert (code, report["counts"]["as assumed"]) == (0, 2)
