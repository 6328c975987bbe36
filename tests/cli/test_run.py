"""Workflow files through the command line, on the local cloud: the user's view, and nothing left afterwards."""

import hashlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.cli.bench import Bench
from tests.support.person import END_OF_INPUT, run_on_terminal
from tests.support.search import files_with

from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.session import cloud_name

EXAMPLE = Path(__file__).parents[2] / "examples" / "workflow.yaml"


def printed(errors: str) -> dict[str, list[str]]:
    """Return the lines of each step."""
    lines: dict[str, list[str]] = {}
    for line in errors.splitlines():
        if match := re.match(r"\[([^]]+)\] (.*)", line):
            lines.setdefault(match[1], []).append(match[2])
    # The lines about the run itself.
    lines.pop("lightning-native", None)
    return lines


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_the_example_runs_its_twelve_steps_on_three_kinds_of_machine(bench: Bench, placement: str) -> None:
    code, output, errors = bench.call("run", EXAMPLE, "--local", "--placement", placement, "--json")
    assert code == 0, errors
    result: dict[str, Any] = json.loads(output)
    assert (result["state"], result["message"]) == ("completed", "")
    steps = {step["step"]: step for step in result["steps"]}
    assert len(steps) == 12
    assert {step["state"] for step in steps.values()} == {"succeeded"}
    machines = {step: steps[step]["machine"] for step in ("count-4", "count-5", "count-6", "check-thorough")}
    assert machines == {"count-4": "L4", "count-5": "L4", "count-6": "L4", "check-thorough": "CPU_X_8"}
    assert printed(errors) == {
        "greet": ["hello from alice"],
        "split": ["splitting", "1 2 3 4 5 6"],
        **{f"count-{size}": [str(size + 1)] for size in range(1, 7)},
        "sum": ["sum 27"],
        "check-fast": ["fast check passed"],
        "check-thorough": ["thorough check passed"],
        "report": ["report done"],
    }
    with bench.journal() as journal:
        records = {step.name: step for step in journal.steps(result["run_id"])}
    for earlier, later in [("greet", "split"), ("split", "count-6"), ("count-6", "sum"), ("check-thorough", "report")]:
        ended, started = records[earlier].ended, records[later].started
        assert ended is not None
        assert started is not None
        assert ended <= started
    on_l4 = [record for record in records.values() if record.machine == "L4" and record.started and record.ended]
    assert max(sum(a.started <= b.started < a.ended for a in on_l4) for b in on_l4) <= 2  # type: ignore[operator]  # filtered above
    bench.assert_nothing_left(result["run_id"])


def test_a_failing_step_fails_the_command_and_is_named(bench: Bench) -> None:
    workflow = bench.write(
        """\
        placement: studio
        steps:
          good: {command: echo fine}
          bad: {command: "echo oh no; exit 3", needs: good}
          after: {command: echo never, needs: bad}
        """
    )
    code, output, errors = bench.call("run", workflow, "--local")
    assert code == 1
    table = [line.split(maxsplit=4) for line in output.splitlines()]
    assert [row[:2] for row in table] == [
        ["step", "state"],
        ["good", "succeeded"],
        ["bad", "failed"],
        ["after", "skipped"],
    ]
    assert "error: step bad: its command ended with exit code 3" in errors
    run_id = re.search(r"see it: lightning-native runs show (\w+)", errors)
    assert run_id is not None
    code, shown, _ = bench.call("runs", "show", run_id[1], "--json")
    assert code == 0
    assert json.loads(shown)["state"] == "failed"
    assert "Traceback" not in errors
    bench.assert_nothing_left(json.loads(shown)["run_id"])


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_failed_run_is_run_again_without_what_succeeded(bench: Bench, placement: str) -> None:
    log = bench.folder / "log"
    workflow = bench.write(
        f"""\
        placement: {placement}
        steps:
          good: {{command: "echo good >>'{log}'"}}
          bad: {{command: "echo bad >>'{log}'; test -e '{bench.folder}/mended'", needs: good}}
          after: {{command: "echo after >>'{log}'", needs: bad}}
        """
    )
    assert bench.call("run", workflow, "--local")[0] == 1
    with bench.journal() as journal:
        first = journal.runs(1)[0].run_id
    code, _, errors = bench.call("runs", "resume", first)
    assert (code, "it is failed; there is nothing to resume" in errors) == (1, True)
    assert f"lightning-native runs retry {first[:12]}" in errors
    (bench.folder / "mended").touch()
    # Neither the options of then nor the place of the file are given again.
    code, output, errors = bench.call("runs", "retry", first[:8], "--json")
    assert code == 0, errors
    assert "again: bad, after; reused: good" in errors
    result = json.loads(output)
    assert {step["state"] for step in result["steps"]} == {"succeeded"}
    assert [step["message"] for step in result["steps"]] == [f"reused from run {first[:12]}", "", ""]
    assert log.read_text().split() == ["good", "bad", "bad", "after"]
    assert ("files that reused steps left" in errors) == (placement == "studio")
    bench.assert_nothing_left(result["run_id"])
    if placement == "studio":
        code, _, errors = bench.call("runs", "retry", result["run_id"])
        assert (code, "has completed\nhint: name the step" in errors) == (1, True)
        assert bench.call("runs", "retry", result["run_id"], "--from", "bad")[0] == 0
        assert log.read_text().split() == ["good", "bad", "bad", "after", "bad", "after"]


@pytest.mark.parametrize(("number", "words"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_whoever_ends_the_command_ends_the_run(bench: Bench, number: signal.Signals, words: str) -> None:
    workflow = bench.write(
        "{placement: studio, steps: {long: {command: echo begun; sleep 600}, x: {command: 'true', needs: long}}}"
    )
    process = bench.start("run", workflow, "--local", "--json")
    assert process.stderr is not None
    for line in process.stderr:
        if "[long] begun" in line:
            break
    process.send_signal(number)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    result = json.loads(output)
    assert result["state"] == "stopped"
    assert {step["state"] for step in result["steps"]} == {"stopped"}
    assert f"was stopped by {words}" in errors
    assert "Traceback" not in errors
    bench.assert_nothing_left(result["run_id"])


def test_a_closed_terminal_stops_the_run_though_no_word_arrives_any_more(bench: Bench) -> None:
    workflow = bench.write("{placement: studio, steps: {long: {command: echo begun; sleep 600}}}")
    with bench.start("run", workflow, "--local") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "[long] begun" in line:
                break
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
    with bench.journal() as journal:
        run_id = journal.runs(1)[0].run_id
    code, output, _ = bench.call("runs", "wait", run_id, "--json")
    assert (code, json.loads(output)["state"]) == (1, "stopped")
    bench.assert_nothing_left(run_id)


@pytest.mark.parametrize(("number", "by"), [(signal.SIGTERM, "option"), (signal.SIGHUP, "file")])
def test_a_command_that_is_ended_leaves_a_run_that_is_to_go_on(bench: Bench, number: signal.Signals, by: str) -> None:
    key = "on_terminate: detach, " if by == "file" else ""
    go = bench.folder / "go"
    command = f"echo begun; until test -e '{go}'; do sleep 0.1; done"
    workflow = bench.write(f'{{placement: studio, {key}steps: {{long: {{command: "{command}"}}}}}}')
    process = bench.start("run", workflow, "--local", *(() if key else ("--on-terminate", "detach")))
    assert process.stderr is not None
    for line in process.stderr:
        if "[long] begun" in line:
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == -number
    words = re.search(r"(SIG\w+): the run goes on, driven by process \d+; .*stop it with: (.*)", errors)
    assert words is not None, errors
    assert words[1] == number.name
    run_id = words[2].split()[-1]
    assert "running" in bench.call("runs", "show", run_id)[1]
    go.touch()
    code, output, errors = bench.call("runs", "wait", run_id, "--json")
    assert code == 0, errors
    bench.assert_nothing_left(json.loads(output)["run_id"])


def test_a_detached_run_goes_on_by_itself(bench: Bench) -> None:
    workflow = bench.write("{placement: studio, steps: {a: {command: echo alone}}}")
    code, output, errors = bench.call("run", workflow, "--local", "--detach")
    assert code == 0, errors
    run_id = output.strip()
    deadline = time.monotonic() + 240
    with bench.journal() as journal:
        while (record := journal.run(run_id)) is None or record.state == "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert record.state == "completed"
    folder = RunFolder(Path(bench.environment["LIGHTNING_NATIVE_HOME"]) / "runs" / run_id)
    while folder.is_driven():
        time.sleep(0.05)
    bench.assert_nothing_left(run_id)


def test_a_plan_shows_where_steps_run_in_which_order_and_for_how_much(bench: Bench) -> None:
    code, output, errors = bench.call("plan", EXAMPLE, "--local", "--json")
    assert code == 0, errors
    result = json.loads(output)
    assert (result["name"], result["placement"], len(result["steps"])) == ("word count", "job", 12)
    rows = {row["step"]: row for row in result["steps"]}
    assert (rows["count-6"]["machine"], rows["count-6"]["fallbacks"]) == ("L4", ["L40S"])
    assert (rows["check-thorough"]["machine"], rows["check-thorough"]["request"]) == ("CPU_X_8", "8 CPUs, 32 GB")
    assert all(row["cost"] > 0 for row in rows.values())
    assert result["total_cost"] == pytest.approx(
        sum(row["cost"] for row in rows.values()) + sum(each["cost"] for each in result["shared"])
    )
    assert rows["sum"]["start"] >= max(rows[f"count-{number}"]["end"] for number in range(1, 7))
    code, output, _ = bench.call("plan", EXAMPLE, "--local", "--max-parallelism", "1")
    assert code == 0
    assert "up to 1 at once" in output


def test_a_plan_is_shown_without_credentials_too(bench: Bench) -> None:
    code, output, errors = bench.call("plan", EXAMPLE, HOME=str(bench.folder))
    assert code == 0, errors
    assert "without prices: Lightning credentials are incomplete" in output
    assert "the cheapest with 8 CPUs, 32 GB" in output
    assert "at an unknown price" in output


def test_a_plan_learns_durations_from_runs(bench: Bench) -> None:
    workflow = bench.write("{name: learning, placement: studio, steps: {a: {command: sleep 1}}}")
    _, before, _ = bench.call("plan", workflow, "--local", "--json")
    assert json.loads(before)["assumed"] == ["a"]
    assert bench.call("run", workflow, "--local")[0] == 0
    _, after, _ = bench.call("plan", workflow, "--local", "--json")
    (row,) = json.loads(after)["steps"]
    assert row["known"]
    assert 1 <= row["end"] - row["begin"] < 30


def test_another_python_of_the_machines_is_told_before_anything_is_created(bench: Bench) -> None:
    workflow = bench.write("{name: elsewhere, placement: studio, steps: {a: {command: 'true'}}}")
    line = f"the machines have Python 3.8, and this computer {sys.version_info[0]}.{sys.version_info[1]}"
    code, output, errors = bench.call("plan", workflow, "--json", LIGHTNING_NATIVE_MACHINE_PYTHON="3.8")
    assert code == 0, errors
    assert [note for note in json.loads(output)["notes"] if note.startswith(line)]
    code, _, errors = bench.call("plan", workflow, LIGHTNING_NATIVE_MACHINE_PYTHON="newest")
    assert code == 2
    assert "LIGHTNING_NATIVE_MACHINE_PYTHON is 'newest'" in errors
    # The running local cloud reports the Python of its machines; an answer of a machine itself has precedence.
    assert line not in bench.call("plan", workflow, "--local", LIGHTNING_NATIVE_MACHINE_PYTHON="3.8")[1]
    with pytest.MonkeyPatch.context() as patch, bench.journal() as journal:
        for name, value in bench.cloud_environment.items():
            patch.setenv(name, value)
        journal.machine_python_found(cloud_name(), "3.8")
    assert line in bench.call("plan", workflow, "--local")[1]
    code, _, errors = bench.call("run", workflow, "--local")
    assert code == 0, errors
    assert f"warning: {line}" in errors
    assert f"emulator --strict --python {sys.version_info[0]}.{sys.version_info[1]}" in errors
    # The run's own studio has reported the Python of its machine.
    code, _, errors = bench.call("run", workflow, "--local")
    assert code == 0, errors
    assert line not in errors


def test_a_run_without_credentials_says_what_to_set_and_leaves_nothing(bench: Bench) -> None:
    workflow = bench.write("steps: {a: {command: x}}")
    runs = Path(bench.environment["LIGHTNING_NATIVE_HOME"]) / "runs"
    before = sorted(runs.glob("*"))
    code, output, errors = bench.call("run", workflow, HOME=str(bench.folder))
    assert (code, output) == (1, "")
    assert errors.startswith("error: Lightning credentials are incomplete: api_key (LIGHTNING_API_KEY)")
    assert sorted(runs.glob("*")) == before


def test_mistakes_in_the_file_are_shown_without_a_traceback(bench: Bench) -> None:
    workflow = bench.write("steps:\n  a: {command: x, machine: H101}\n  b: {comand: x}\n")
    for command in ("plan", "run"):
        code, output, errors = bench.call(command, workflow, "--local")
        assert (code, output) == (1, "")
        assert "did you mean 'command'?" in errors
        assert "Traceback" not in errors
    assert bench.call("run", workflow, "--max-parallelism", "0")[0] == 2


def test_secrets_reach_the_step_and_nothing_else(bench: Bench) -> None:
    secret = uuid4().hex
    workflow = bench.write(
        """\
        placement: studio
        steps:
          a: {command: 'printf %s "$TOKEN" | sha256sum', env: {TOKEN: "${MY_TOKEN}"}}
        """
    )
    code, output, errors = bench.call("run", workflow, "--local", "--json", MY_TOKEN=secret)
    assert code == 0, errors
    assert printed(errors) == {"a": [f"{hashlib.sha256(secret.encode()).hexdigest()}  -"]}
    home = Path(bench.environment["LIGHTNING_NATIVE_HOME"])
    folder = home / "runs" / json.loads(output)["run_id"]
    kept = [home / "journal.db", home / "journal.db-wal", home / "cloud" / "server.log"]
    assert files_with(secret, folder) == []
    assert [path for path in kept if path.is_file() and secret.encode() in path.read_bytes()] == []


def test_a_workflow_with_a_schedule_is_scheduled_changed_and_deleted(bench: Bench) -> None:
    workflow = bench.write(
        """\
        name: nightly
        placement: platform
        schedule: {cron: 0 2 * * *, timezone: Europe/Zurich}
        steps: {a: {command: echo a}}
        """
    )
    code, output, errors = bench.call("run", workflow, "--local")
    assert code == 0, errors
    assert output.startswith("scheduled as 'nightly' at '0 2 * * *' Europe/Zurich")
    paused = bench.call("schedules", "pause", "nightly", "--local")
    assert paused == (0, "nightly: 0 2 * * * Europe/Zurich, paused\n", "")
    assert bench.call("schedules", "change", "nightly", "--cron", "5 4 * * 1", "--timezone", "UTC", "--local")[0] == 0
    assert bench.call("schedules", "--local")[1].split() == ["nightly", "5", "4", "*", "*", "1", "UTC", "paused"]
    assert bench.call("schedules", "runs", "nightly", "--local", "--json")[1] == "[]\n"
    code, _, errors = bench.call("schedules", "delete", "weekly", "--local")
    assert (code, errors) == (1, "error: there is no schedule 'weekly'; there are: nightly\n")
    delete = ("schedules", "delete", "nightly", "--local", "--json")
    code, output, errors = bench.call(*delete)
    assert (code, output) == (2, "")
    assert errors.startswith("schedule nightly: to delete with its runs and its studios\nerror: ")
    assert "--yes" in errors
    for no in ("n\n", "\n", END_OF_INPUT):
        refused = bench.answer(no, *delete)
        assert (refused.returncode, json.loads(refused.stdout)) == (1, {"deleted": []})
        assert "nothing was changed" in refused.stderr
    assert bench.call("schedules", "--local")[1].split()[0] == "nightly"
    accepted = bench.answer("y\n", *delete)
    assert (accepted.returncode, json.loads(accepted.stdout)) == (0, {"deleted": ["nightly"]})
    assert bench.call("schedules", "list", "--local") == (0, "", "")


def test_local_before_the_action_leaves_the_account_alone(bench: Bench) -> None:
    workflow = bench.write(
        """\
        name: nightly
        placement: platform
        schedule: {cron: 0 2 * * *, timezone: UTC}
        steps: {a: {command: echo a}}
        """
    )
    with LocalCloud(bench.folder / "account") as account:
        # The account has an organization, which does not exist in the local cloud.
        signed_in = {**account.environ, "LIGHTNING_ORG": "no such", "LIGHTNING_AUTH_TOKEN": "of the account"}
        here = {"LIGHTNING_NATIVE_HOME": str(bench.folder / "here")}
        assert bench.call("run", workflow, **account.environ, **here)[0] == 0
        assert bench.call("run", workflow, "--local", **signed_in, **here)[0] == 0
        deleted = bench.call("schedules", "--local", "delete", "nightly", "--yes", **signed_in, **here)
        assert deleted[:2] == (0, "deleted schedule nightly\n")
        assert bench.call("schedules", "--local", "list", **signed_in, **here)[1] == ""
        assert bench.call("schedules", **account.environ, **here)[1].split()[0] == "nightly"

        for where in ((), ("--local",)):
            environ = signed_in if where else account.environ
            steps = bench.write("{placement: job, setup: ['true'], steps: {a: {command: 'true'}}}")
            ran = bench.call("run", steps, *where, **environ, **here)
            assert ran[0] == 0, ran[2]
        pruned = bench.call("environments", "--local", "prune", "--yes", "--json", **signed_in, **here)
        assert pruned[0] == 0, pruned
        assert len(json.loads(pruned[1])["deleted"]) == 1
        assert json.loads(bench.call("environments", "--json", "--local", "list", **signed_in, **here)[1]) == []
        (kept,) = json.loads(bench.call("environments", "list", "--json", **account.environ, **here)[1])
        assert kept["ready"]


HARMFUL = r"\033]0;a title\007\033]52;c;ZXZpbA==\007\033[2J\033[1;1H\033P$q\033\134\302\233A\010\033c"


def test_what_a_step_prints_and_a_run_is_called_does_nothing_to_a_terminal(bench: Bench) -> None:
    (bench.folder / "print.sh").write_text(f"printf '{HARMFUL}\\033[32mgreen\\n50%%\\r100%%\\nplain\\n'\n")
    workflow = bench.write("{placement: studio, steps: {a: {command: sh print.sh}}}")
    environment = {**bench.environment, "TERM": "xterm"}
    ours = [sys.executable, "-m", "lightning_native"]
    code, shown = run_on_terminal([*ours, "run", str(workflow), "--local"], env=environment)
    assert code == 0, shown
    # The table below the output moves the cursor up, and clears its own lines.
    text = re.sub(rb"\x1b\[(?:\d+A|2?K|\?25[lh]|[\d;]*m)", b"", shown)
    for line in (b"[a] green\r\n", b"[a] 100%\r\n", b"[a] plain\r\n"):
        assert line in text
    assert b"\x1b[32mgreen" in shown
    assert b"\x1b" not in text
    assert b"a title" not in text
    run_id = re.search(r"runs show (\w+)", shown.decode())
    assert run_id is not None
    other = uuid4().hex
    with bench.journal() as journal:
        (record,) = journal.runs_like(run_id[1])
        raw = RunFolder(Path(environment["LIGHTNING_NATIVE_HOME"]) / "runs" / record.run_id).log("a", 1).read_bytes()
        # A record with an unchecked name, as an older version may have written it.
        journal.drive(other, "a name\x1b]0;a title\x07\x1b[31m\x9b2J", record.cloud, os.getpid(), [])
    assert raw.startswith(b"\x1b]0;a title\x07"), "the log is kept as it came"

    code, shown = run_on_terminal([*ours, "runs", "logs", record.run_id], env=environment)
    assert (code, shown) == (0, b"[a] \x1b[32mgreen\x1b[0m\r\n[a] 100%\r\n[a] plain\r\n")
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, shown = run_on_terminal([*ours, "runs", "logs", record.run_id], env={**environment, **more})
        assert (code, shown) == (0, b"[a] green\r\n[a] 100%\r\n[a] plain\r\n")
    assert bench.call("runs", "logs", record.run_id)[1] == "[a] green\n[a] 100%\n[a] plain\n"
    for arguments in (("list",), ("show", other)):
        code, shown = run_on_terminal([*ours, "runs", *arguments], env=environment)
        assert b"a name" in shown
        assert b"\x1b" not in shown
        assert "\x9b".encode() not in shown
    assert json.loads(bench.call("runs", "show", other, "--json")[1])["name"].startswith("a name\x1b]0;")
