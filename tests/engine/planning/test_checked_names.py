"""A name that cannot be a path, a name at Lightning or part of a line is refused before anything is created."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native import engine
from lightning_native.cli import main
from lightning_native.engine.leases import dead_leases
from lightning_native.engine.plan import ContainerImage, RunPlan, Schedule, Setup, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import LightningNativeError, PlanError
from lightning_native.lightning.memory import MemoryCloud

STEP = StepPlan("a", ("true",))
PLAN = RunPlan("run", "name", (STEP,), placement="job")
NO_PATHS = ["../../x", "/abs/path", "..", ".", "", "a/b", "a\\b", "a.b", "-rf", " a", "a\n", "x" * 300, None, 7]
NO_LINES = ["", " ", "a\nb", "a\rb", "a\x1b[2Jb", "a\x00b", "a\x85b", "a\u2028b", "a\u202eb", "a\ud800b", "x" * 300]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("run_id", NO_PATHS)
def test_an_id_that_is_no_folder_s_name_makes_no_run(run_id: Any, tmp_path: Path, home: Path) -> None:
    with pytest.raises(PlanError, match="run_id is") as raised:
        engine.run(replace(PLAN, run_id=run_id), tmp_path / "code", cloud=MemoryCloud())
    assert len(str(raised.value)) < 200
    assert str(raised.value).isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code"]
    assert not home.exists()


@pytest.mark.parametrize("name", NO_LINES)
@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("name", "the plan's name"),
        ("main_studio", "main_studio"),
        ("tags", "a tag"),
        ("step", "a step's name"),
        ("schedule", "the schedule's name"),
        ("credentials", "the image credentials of step 'a'"),
        ("scratch", "an environment variable of step 'a'"),
    ],
)
def test_a_name_that_is_no_line_is_refused(name: Any, field: str, what: str) -> None:
    changed = {
        "tags": {"tags": (name,)},
        "step": {"steps": (replace(STEP, name=name),)},
        "schedule": {"schedule": Schedule(name, "0 2 * * *"), "placement": "platform"},
        "credentials": {"steps": (replace(STEP, image=ContainerImage("image", name)),)},
        "scratch": {"steps": (replace(STEP, scratch=(name,)),)},
    }.get(field, {field: name})
    with pytest.raises(PlanError, match=what) as raised:
        check_plan(replace(PLAN, **changed))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (replace(STEP, name="!!!"), "needs a letter or a digit"),
        (replace(STEP, image=ContainerImage("--privileged image")), "write it as REGISTRY/NAME:TAG"),
        (replace(STEP, image=ContainerImage("image\n:tag")), "write it as REGISTRY/NAME:TAG"),
        (replace(STEP, scratch=("A=B",)), "a name has neither = nor blanks"),
        (replace(STEP, setup=Setup(variables=("A B",))), "a name has neither = nor blanks"),
        (replace(STEP, setup=Setup(packages=("-oDPkg::Pre-Invoke=x",))), "begins with no -"),
    ],
)
def test_other_names_of_steps_are_what_they_stand_for(step: StepPlan, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_plan(replace(PLAN, steps=(step,)))


@pytest.mark.parametrize("name", ["a/b", "-a", "..", " a"])
def test_a_main_studio_is_named_as_studios_are(name: str) -> None:
    with pytest.raises(PlanError, match="main_studio is"):
        check_plan(replace(PLAN, placement="studio", main_studio=name))


def test_names_in_any_script_are_fine() -> None:
    for name in ("日本 a", "naïve-Ünï", "مرحبا", "train 🚀 model", "a" * 255):
        check_plan(replace(PLAN, name=name, main_studio=name, steps=(replace(STEP, name=name),), tags=(name,)))


def test_a_variable_without_a_name_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("", "A=B", "A\nB", "A B"):
        with pytest.raises(PlanError, match="variable"):
            RunFolder.of("run").write(PLAN, tmp_path / "code", {"a": {name: "value"}})
    assert not RunFolder.of("run").path.exists()


@given(st.text() | st.from_regex(r"\A[./a-z0-9_-]{0,12}\Z"))
def test_whatever_a_run_is_called_its_folder_is_in_ours(run_id: str) -> None:
    try:
        path = RunFolder.of(run_id).path
    except LightningNativeError:
        return
    assert path.name == run_id
    assert path.resolve().parent == path.parent.resolve()


@pytest.mark.parametrize("action", ["show", "wait", "logs", "stop", "resume", "report"])
@pytest.mark.parametrize("run", ["../../x", "/etc", "a\nb", "", "x" * 300])
def test_a_run_that_no_run_is_called_is_refused_on_the_command_line(
    action: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal() as journal:
        journal.drive("the-only-one", "name", "cloud", 1, [])
    assert main(["runs", action, run]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_of_the_journal_that_no_new_one_may_be_called_does_not_keep_gc_from_its_work() -> None:
    with Journal() as journal:
        journal.drive("../../x", "name", "cloud", 1, []).lease("studio", "one")
        journal.drive("2024.01", "name", "cloud", 1, []).lease("studio", "two")
        assert [lease.name for lease in dead_leases(journal, "cloud")] == ["one", "two"]
