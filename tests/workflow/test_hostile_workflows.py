"""Workflow files that are small and would hang, fill the memory or end in a traceback: each is one clear error."""

import os
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.engine.plan import Retry, RunPlan, Schedule, StepPlan
from lightning_native.engine.planning.checks import check_plan, check_schedule
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError
from lightning_native.user_input import user_files
from lightning_native.user_input.bounds import LONGEST_SECONDS
from lightning_native.user_input.user_files import read_user_text
from lightning_native.user_input.yaml_document import did_you_mean
from lightning_native.workflow.loader import load_workflow

STEP = "steps: {a: {command: 'true'}}\n"


def refused(folder: Path, text: str | bytes) -> str:
    path = folder / "workflow.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError) as error:
        load_workflow(path, environment={"BIG": "x" * 100_000})
    assert len(str(error.value)) < 5000
    return str(error.value).replace(f"{folder}/", "")


def nested(line: str, *, times: int = 9, levels: int = 9) -> str:
    """Return lines each of which contains the previous one several times."""
    lines = ["x-0: &a0 {k0: 1}"]
    lines += [f"x-{n}: &a{n} {line.format(', '.join([f'*a{n - 1}'] * times))}" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n" + STEP


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (nested("{{<<: [{}]}}"), "more than 100000 values; are there nested aliases?"),
        (nested("{{<<: [{}], k: 2}}"), "more than 100000 values; are there nested aliases?"),
        (nested("[{}]"), "more than 100000 values"),
        ("[" * 500_000, "nested more than 100 deep"),
        ("- " * 500_000, "nested more than 100 deep"),
        ("x-a: " + "[1," * 150 + "]" * 150 + "\n" + STEP, "nested more than 100 deep"),
        ("x-a: [" + "a," * 400_000 + "]\n" + STEP, "more than 100000 values"),
        ("# " + "x" * (1 << 20) + "\n" + STEP, "more than 1 MiB"),
        ("env: {A: '" + "${A:-" * 25_000 + "'}\n" + STEP, "longer than Linux takes"),
        ("env: {A: '" + "${BIG}" * 900 + "'}\n" + STEP, "longer than Linux takes"),
        ("steps: {a: {command: " + "x" * 140_000 + "}}", "more than 131071 bytes"),
        ("machine: " + "a" * 900_000 + "\n" + STEP, "unknown machine"),
    ],
)
def test_what_would_become_too_much_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(tmp_path, text)


@pytest.mark.parametrize(
    "step",
    [
        '{command: "a\\0b"}',
        '{command: [echo, "\\ud800"]}',
        '{command: x, env: {A: "\\0"}}',
        '{command: x, env: {"A\\0": b}}',
        '{command: x, env: {A: "\\udfff"}}',
        '{command: x, requirements: ["\\ud800"]}',
        '{command: x, machine: "\\ud800"}',
        '{runtime: {type: python, spec: {args: ["\\ud800"]}}}',
    ],
)
def test_what_no_machine_can_be_given_is_refused_at_its_line(tmp_path: Path, step: str) -> None:
    message = refused(tmp_path, f"steps:\n  a: {step}\n")
    assert message.startswith("workflow.yaml:2: ")
    assert "has a NUL character" in message or "has half a character" in message


@pytest.mark.parametrize(
    "text",
    [
        f"timeout: 1{'0' * 400}\n{STEP}",
        f"timeout: {'9' * 5000}\n{STEP}",
        f"timeout: .inf\n{STEP}",
        f"timeout: 99999d\n{STEP}",
        f"pending_timeout: 1e300\n{STEP}",
        f"max_parallelism: 1{'0' * 30}\n{STEP}",
        f"machine_limits: {{L4: 1{'0' * 30}}}\n{STEP}",
        f"machine: {{cpu: .inf}}\n{STEP}",
        f"machine: {{cpu: 1{'0' * 400}}}\n{STEP}",
        f"machine: {{memory: 1{'0' * 400}}}\n{STEP}",
        f"machine: {{memory: '{'9' * 400}GB'}}\n{STEP}",
        f"machine: {{gpu: 1{'0' * 30}}}\n{STEP}",
        "steps: {a: {command: x, retries: 1000000000}}",
        "steps: {a: {command: x, retries: {count: 99999}}}",
        "steps: {a: {command: x, retries: {count: 9, backoff: .inf}}}",
        "steps: {a: {command: x, retries: {count: 9, delay: .inf}}}",
        "root: ~nosuchuser/x\n" + STEP,
        f"root: {'a' * 5000}\n{STEP}",
        f"requirements: {'a' * 5000}\n{STEP}",
        'placement: platform\nschedule: {cron: "0 0 30 2 *"}\n' + STEP,
        'placement: platform\nschedule: {cron: "0 0 31 4,6,9,11 *"}\n' + STEP,
        'placement: platform\nschedule: {cron: "60 0 * * *"}\n' + STEP,
        'placement: platform\nschedule: {cron: "0 0-24 * * *"}\n' + STEP,
        'placement: platform\nschedule: {cron: "0 0 ' + "1," * 100_000 + '1 1 *"}\n' + STEP,
        "steps: {a: {command: !!python/object/apply:os.system [x]}}",
        "steps: {a: {command: !!binary x}}",
    ],
)
def test_numbers_dates_and_tags_that_no_run_can_have_are_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).startswith("workflow.yaml:")


@pytest.mark.parametrize("content", [STEP.encode("utf-16"), b"\xff\xfe\x00", b"\x00" * 100, b"\x89PNG\r\n\x1a\n" * 9])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    message = refused(tmp_path, content)
    assert "UTF-8" in message or "no YAML" in message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "workflow.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + STEP.encode())
    assert load_workflow(path, environment={}).plan.steps[0].name == "a"


@pytest.mark.parametrize("kind", ["/dev/zero", "a pipe", "a folder"])
def test_a_workflow_and_requirements_are_regular_files(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = Path(kind) if kind.startswith("/") else tmp_path / "named"
    if kind == "a pipe":
        os.mkfifo(named)
    elif kind == "a folder":
        named.mkdir()
    expected = "it is a folder" if kind == "a folder" else "no regular file"
    assert main(["plan", str(named), "--local"]) == 1
    assert expected in capsys.readouterr().err
    (tmp_path / "workflow.yaml").write_text(f"requirements: {named}\n{STEP}")
    assert main(["plan", str(tmp_path / "workflow.yaml"), "--local"]) == 1
    errors = capsys.readouterr().err
    assert f"the requirements file {named} cannot be read: " in errors
    assert expected in errors


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(OSError, match="more than 16 MiB"):
        read_user_text(path)


@pytest.mark.parametrize(
    "step",
    [
        StepPlan("a", ("echo", "\0")),
        StepPlan("a", ("echo", "\ud800")),
        StepPlan("a", ("x",), requirements=(("r.txt", "\0"),)),
        StepPlan("a", ("x" * (1 << 17),)),
        StepPlan("a", ("x",), timeout=float("inf")),
        StepPlan("a", ("x",), timeout=float("nan")),
        StepPlan("a", ("x",), retry=Retry(1, float("nan"))),
        StepPlan("a", ("x",), retry=Retry(1, 1.0, float("inf"))),
        StepPlan("a", ("x",), retry=Retry(10**9)),
    ],
)
def test_a_plan_is_checked_whoever_made_it(step: StepPlan) -> None:
    with pytest.raises(PlanError, match=r"step 'a'"):
        check_plan(RunPlan("run", "name", (step,)))


def test_pauses_grow_to_ten_years_and_no_more() -> None:
    assert [Retry(9, 2.0, 3.0).pause(failures) for failures in (1, 2, 3)] == [2.0, 6.0, 18.0]
    assert Retry(9, 2.0, 1e300).pause(9) == LONGEST_SECONDS


def test_a_hint_names_no_more_than_people_read() -> None:
    assert len(did_you_mean("x", [f"step-{n}" for n in range(10_000)], "the steps are")) < 1000


def test_a_pipe_is_read_to_its_end_as_long_as_somebody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, STEP.encode())
    os.close(writing)
    assert read_user_text(Path(f"/dev/fd/{reading}")) == STEP
    os.close(reading)
    monkeypatch.setattr(user_files, "_PATIENCE_SECONDS", 0.1)
    reading, writing = os.pipe()
    os.write(writing, STEP.encode())
    with pytest.raises(OSError, match="has not ended"):
        read_user_text(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("variables", [{"A": "a\0"}, {"A\0": "a"}, {"A": "\ud800"}, {"A": "x" * (1 << 17)}, {"": "a"}])
def test_no_run_is_written_with_a_variable_that_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    plan = RunPlan("run", "name", (StepPlan("a", ("true",)),))
    with pytest.raises(PlanError, match=r"step 'a'"):
        RunFolder.of("run").write(plan, None, {"a": variables})
    assert not RunFolder.of("run").path.exists()


def test_a_variable_of_this_process_is_handed_on_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    plan = RunPlan("run", "name", (StepPlan("a", ("true",)),))
    RunFolder.of("run").write(plan, None, {"a": {"A": "caf\udce9"}})
    assert RunFolder.of("run").variables() == {"a": {"A": "caf\udce9"}}


@pytest.mark.parametrize("cron", ["*/90 0-23/2 L MON-FRI 1#2", "0 2 * * 7", "0,30 9-17 1,15 1-12/3 *", "0 0 29 2 *"])
def test_what_a_schedule_can_be_is_accepted(cron: str) -> None:
    check_schedule(Schedule("nightly", cron))
