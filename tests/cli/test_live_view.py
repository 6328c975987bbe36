"""A run at a terminal: its table, and what Ctrl-C asks."""

import os
import re
import sys
from pathlib import Path

from tests.cli.bench import Bench
from tests.support.person import talk_at_terminal

from lightning_native.emulator import LocalCloud

WORKFLOW = """
name: live
steps:
  one: {command: "echo begun; until [ -e GO ]; do sleep 0.1; done"}
  two: {command: "echo second", needs: one}
"""
QUESTION = "keep watching? [s/d/G] "


def talk(bench: Bench, *said: tuple[str, str]) -> tuple[int, str]:
    workflow = bench.write(WORKFLOW.replace("GO", str(bench.folder / "go")))
    return talk_about(bench, ["run", str(workflow), "--local"], *said)


def talk_about(bench: Bench, command: list[str], *said: tuple[str, str]) -> tuple[int, str]:
    argv = [sys.executable, "-m", "lightning_native", *command]
    code, shown = talk_at_terminal(argv, *said, env={**bench.environment, "TERM": "xterm"}, cwd=bench.folder)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_a_terminal_shows_a_table_with_phases_below_the_output(bench: Bench) -> None:
    (bench.folder / "go").touch()
    code, shown = talk(bench)
    assert code == 0, shown
    for words in (
        "[one] begun",
        "[two] second",
        "last line",
        "waiting",
        "Ctrl-C stops or leaves it",
        "steps: 2 succeeded",
    ):
        assert words in shown, shown


def test_ctrl_c_and_g_go_on(bench: Bench) -> None:
    said = [("begun", "\x03"), (QUESTION, "g\n")]
    (bench.folder / "later").write_text("")
    code, shown = talk(bench, *said, ("running", "\x03"), (QUESTION, "s\n"))
    assert (code, "was stopped by Ctrl-C" in shown) == (1, True), shown


def test_ctrl_c_twice_stops(bench: Bench) -> None:
    code, shown = talk(bench, ("begun", "\x03"), (QUESTION, "\x03"))
    assert (code, "was stopped by Ctrl-C" in shown) == (1, True), shown


def test_ctrl_c_and_d_leave_the_run_to_its_controller(bench: Bench) -> None:
    code, shown = talk(bench, ("begun", "\x03"), (QUESTION, "d\n"))
    assert (code, "the run goes on, driven by process" in shown) == (0, True), shown
    (bench.folder / "go").touch()
    assert bench.call("runs", "wait", "last")[0] == 0


def test_quiet_shows_nothing_but_the_end(bench: Bench) -> None:
    (bench.folder / "go").touch()
    workflow = bench.write(WORKFLOW.replace("GO", str(bench.folder / "go")))
    code, output, errors = bench.call("run", workflow, "--local", "--quiet")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["step", "one", "two"]
    assert "begun" not in errors
    assert "booting" not in errors


def test_elsewhere_each_phase_is_a_line(bench: Bench) -> None:
    (bench.folder / "go").touch()
    workflow = bench.write(WORKFLOW.replace("GO", str(bench.folder / "go")))
    code, _, errors = bench.call("run", workflow, "--local")
    assert code == 0
    for line in ("[one] begun", "[two] second"):
        assert line in errors.splitlines()
    assert re.search(r"^\[lightning-native\] two: succeeded after ", errors, re.MULTILINE), errors


def test_a_machine_boots_and_is_prepared_before_its_step_runs(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud", boot_seconds=3) as cloud:
        environ = {**os.environ, **cloud.environ, "LIGHTNING_NATIVE_HOME": str(tmp_path / "home")}
        bench = Bench(environ, cloud.environ, tmp_path)
        workflow = bench.write("{placement: studio, steps: {a: {command: echo hi}}}")
        code, _, errors = bench.call("run", workflow)
    assert code == 0, errors
    phases = re.findall(r"^\[lightning-native\] a: (\w+)", errors, re.MULTILINE)
    # The preparation may be over between two looks.
    assert [phase for phase in phases if phase not in ("preparing", "running")] == ["booting", "succeeded"]


JOB = """
kind: job
spec:
  name: live
  infrastructure: {kind: infrastructure, type: dataScienceJob, spec: {shapeName: VM.Standard2.1}}
  runtime: {kind: runtime, type: script, spec: {scriptPathURI: live.sh}}
"""


def job(bench: Bench) -> list[str]:
    (bench.folder / "live.sh").write_text(
        f"echo begun; until [ -e {bench.folder}/go ]; do sleep 0.1; done; echo over\n"
    )
    (bench.folder / "job.yaml").write_text(JOB)
    return ["job", "run", "job.yaml", "--local"]


def test_a_job_at_a_terminal_is_a_table_with_its_phase_and_cost(bench: Bench) -> None:
    command = job(bench)
    code, shown = talk_about(
        bench, command, ("begun", "\x03"), (QUESTION, "g\n"), ("running", "\x03"), (QUESTION, "s\n")
    )
    assert code == 130, shown
    (bench.folder / "go").touch()
    code, shown = talk_about(bench, command)
    assert code == 0, shown
    for words in ("last line", "waiting", "running", "so far", "over\r\n", " completed"):
        assert words in shown, shown


def test_a_person_leaves_a_job_and_watches_it_again(bench: Bench) -> None:
    code, shown = talk_about(bench, job(bench), ("begun", "\x03"), (QUESTION, "d\n"))
    watch = re.search(r"the job goes on; watch it with: lightning-native (job watch \S+)", shown)
    assert (code, watch is not None) == (0, True), shown
    assert watch is not None
    (bench.folder / "go").touch()
    code, output, errors = bench.call(*watch[1].split(), "--local")
    assert (code, output.splitlines()) == (0, ["begun", "over"]), errors


def test_a_quiet_job_shows_nothing_but_its_end(bench: Bench) -> None:
    command = job(bench)
    (bench.folder / "go").touch()
    code, output, errors = bench.call(*command, "--quiet")
    assert (code, output.count("\n")) == (0, 1), errors
    assert "begun" not in errors
