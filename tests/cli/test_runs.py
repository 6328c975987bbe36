"""`lightning-native runs` and `environments` show runs, their output and the template studios that are kept."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.person import answer_at_terminal
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.lightning.local import attach, default_root


def command(
    *arguments: str, environ: dict[str, str] | None = None, answer: str | None = None
) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "lightning_native", *arguments]
    env = {**os.environ, **(environ or {})}
    if answer is not None:
        return answer_at_terminal(argv, answer, env=env)
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=240, env=env
    )


def test_a_run_is_listed_shown_and_its_logs_are_printed(runner: Runner) -> None:
    count = runner.results / "count"
    twice = f"echo try; echo x >>'{count}'; test $(wc -l <'{count}') -ge 2"
    folder = runner.make(
        "job",
        StepPlan("hello", ("echo", "hello there")),
        StepPlan("flaky", ("sh", "-c", twice), retry=Retry(1)),
    )
    assert runner.drive(folder) == 0
    run_id = folder.path.name
    assert f"{run_id[:12]}  completed" in command("runs").stdout
    shown = command("runs", "show", run_id[:8]).stdout
    for words in ("hello", "attempt 1 failed", "cost: $", "trying again", "released: "):
        assert words in shown
    as_json = json.loads(command("runs", "show", run_id, "--json").stdout)
    assert [step["state"] for step in as_json["steps"]] == ["succeeded", "succeeded"]
    logs = command("runs", "logs", run_id).stdout.splitlines()
    assert sorted(logs) == ["[flaky] try", "[flaky] try", "[hello] hello there"]
    assert command("runs", "logs", run_id, "--step", "hello").stdout == "hello there\n"


def test_environments_are_listed_and_pruned(runner: Runner, lightning_cloud: LocalCloud) -> None:
    assert runner.drive(runner.make("job", StepPlan("a", ("true",)))) == 0
    environ = lightning_cloud.environ
    (environment,) = json.loads(command("environments", "list", "--json", environ=environ).stdout)
    assert environment["ready"]
    assert f"  Python {environment['version']} " in command("environments", environ=environ).stdout
    assert "0 deleted, 1 kept" in command("environments", "prune", "--unused-days", "1", environ=environ).stdout
    unasked = command("environments", "prune", environ=environ)
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert f"studio {environment['studio']}: to delete" in unasked.stderr
    assert "1 deleted, 0 kept" in command("environments", "prune", environ=environ, answer="y\n").stdout
    assert json.loads(command("environments", "list", "--json", environ=environ).stdout) == []


def test_what_a_dead_run_holds_is_shown_with_age_and_cost_and_released_after_a_yes(
    runner: Runner, lightning_cloud: LocalCloud
) -> None:
    folder = runner.make("studio", StepPlan("a", ("true",), machines=("L4",)))
    assert runner.drive(folder, "after run 3") == -signal.SIGKILL
    environ = lightning_cloud.environ
    unasked = command("gc", "--json", environ=environ)
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "say --yes" in unasked.stderr
    refused = command("gc", "--json", environ=environ, answer="n\n")
    nothing: dict[str, list[str]] = {"released": [], "failed": [], "secrets_deleted": [], "ended": []}
    assert (refused.returncode, json.loads(refused.stdout)) == (1, nothing)
    assert re.search(r"studio engine-test-a-\S+ of run \w+ \([\d.]+ s, \$[\d.]+\): to delete", refused.stderr)
    accepted = command("gc", environ=environ, answer="y\n")
    assert "1 released, 0 could not be released" in accepted.stdout
    assert command("gc", environ=environ).stdout == "0 released, 0 could not be released\n"


@pytest.mark.usefixtures("runner")
def test_a_run_that_is_not_there_is_one_clear_error() -> None:
    result = command("runs", "show", "nope")
    assert result.returncode == 1
    assert result.stderr.startswith("error: no run in ")
    assert "'nope'" in result.stderr


def test_a_detached_run_is_followed_killed_resumed_and_not_resumed_again(runner: Runner) -> None:
    workflow = runner.code / "workflow.yaml"
    workflow.write_text(
        f"""
        name: resumable
        placement: studio
        steps:
          one: {{command: "echo one >>'{runner.results}/one'; echo first"}}
          two: {{command: "echo two >>'{runner.results}/two'; sleep 3; echo second", needs: [one]}}
        """
    )
    # A second user of the local cloud, so that it does not end with the controller.
    with attach(default_root()):
        run_id = command("run", str(workflow), "--local", "--detach").stdout.strip()
        runner.wait_for("two")
        controller = json.loads(command("runs", "show", run_id, "--json").stdout)["controller"]
        os.kill(controller, signal.SIGKILL)
        resumed = command("runs", "resume", run_id)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumable  completed" in resumed.stdout
    assert (runner.lines("one"), runner.lines("two")) == (["one"], ["two"])
    assert command("runs", "logs", run_id).stdout == "[one] first\n[two] second\n"
    again = command("runs", "resume", run_id)
    assert again.returncode == 1
    assert "has ended: it is completed; there is nothing to resume" in again.stderr


def test_a_run_is_waited_for_in_vain_and_stopped_from_another_terminal(runner: Runner) -> None:
    workflow = runner.code / "workflow.yaml"
    workflow.write_text(f"steps: {{long: {{command: \"echo x >>'{runner.results}/long'; sleep 600\"}}}}\n")
    run_id = command("run", str(workflow), "--local", "--detach").stdout.strip()
    runner.wait_for("long")
    waited = command("runs", "wait", run_id, "--timeout", "0.1", "--json")
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (1, "running")
    assert command("runs", "stop", run_id).returncode == 2
    assert command("runs", "stop", run_id, answer="no\n").returncode == 1
    assert json.loads(command("runs", "show", run_id, "--json").stdout)["state"] == "running"
    assert f"run {run_id} is stopped" in command("runs", "stop", run_id, "--yes").stdout


@pytest.mark.parametrize(("code", "state"), [(0, "completed"), (1, "failed")])
def test_a_run_that_was_just_started_is_waited_for_until_it_has_ended(runner: Runner, code: int, state: str) -> None:
    workflow = runner.code / "workflow.yaml"
    workflow.write_text(f"steps: {{one: {{command: 'exit {code}'}}}}\n")
    run_id = command("run", str(workflow), "--local", "--detach").stdout.strip()
    waited = command("runs", "wait", run_id)
    assert waited.returncode == code
    assert state in waited.stdout.splitlines()[0]


def test_outputs_are_shown_listed_and_copied(runner: Runner, tmp_path: Path) -> None:
    script = "mkdir -p m; echo x >> m/model; ln -sf model m/last; test $(wc -l < m/model) -ge 2"
    folder = runner.make(
        "studio",
        StepPlan("train", ("sh", "-c", script), retry=Retry(1), outputs=("m",)),
        StepPlan("other", ("sh", "-c", "echo 1 > table.csv"), outputs=("*.csv",)),
        StepPlan("none", ("true",)),
    )
    assert runner.drive(folder) == 0
    run_id = folder.path.name
    assert f"outputs: train  attempt 2  2 files  9 bytes  {folder.outputs('train', 2)}" in (
        command("runs", "show", run_id).stdout
    )
    listed = json.loads(command("runs", "outputs", run_id, "--json").stdout)
    assert [(each["step"], each["attempt"]) for each in listed] == [("train", "1"), ("train", "2"), ("other", "1")]
    assert len(json.loads(command("runs", "show", run_id, "--json").stdout)["outputs"]) == 3
    assert command("runs", "outputs", run_id, "train", "--to", str(tmp_path / "newest")).returncode == 0
    assert (tmp_path / "newest" / "m" / "last").readlink() == Path("model")
    assert (tmp_path / "newest" / "m" / "last").read_text() == "x\nx\n"
    first = ("runs", "outputs", run_id, "train", "--attempt", "1", "--to", str(tmp_path / "first"))
    assert command(*first).returncode == 0
    assert (tmp_path / "first" / "m" / "model").read_text() == "x\n"
    again = command(*first)
    assert (again.returncode, "is not empty\nhint: name a new folder" in again.stderr) == (1, True)
    assert command("runs", "outputs", run_id, "--to", str(tmp_path / "all")).returncode == 0
    assert sorted(path.name for path in (tmp_path / "all").rglob("*.csv")) == ["table.csv"]
    for wrong, words in ((("missing",), "has no step 'missing'"), (("none", "--to", "x"), "has no outputs")):
        refused = command("runs", "outputs", run_id, *wrong)
        assert (refused.returncode, words in refused.stderr) == (1, True), refused.stderr
