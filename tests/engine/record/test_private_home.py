"""Files of ours are for their owner only, and the secrets of a killed run are found and deleted."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.search import files_with

from lightning_native import engine
from lightning_native.cli import main
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import ArchiveError, PlanError
from lightning_native.lightning.memory import MemoryCloud
from lightning_native.placement import PlacementName

SUBMISSION = Path(__file__).parents[2] / "support" / "killing" / "dying_submission.py"
TOKEN = "s3cr3t-t0ken"  # noqa: S105  no real one
PLAN = RunPlan("run", "name", (StepPlan("a", ("true",)),), placement="job")


def modes(home: Path) -> dict[str, int]:
    return {str(path.relative_to(home)): stat.S_IMODE(path.lstat().st_mode) for path in home.rglob("*")}


def gc(capsys: pytest.CaptureFixture[str]) -> dict[str, list[object]]:
    capsys.readouterr()
    assert main(["gc", "--yes", "--json"]) == 0
    answer: dict[str, list[object]] = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(home))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1\n")
    return home


@pytest.mark.parametrize("umask", [0o000, 0o022])
@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_everything_of_ours_is_for_its_owner_only_also_in_a_folder_of_the_user_s(
    placement: PlacementName, umask: int, home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    home.chmod(0o755)
    mine = home / "mine.txt"
    mine.write_text("x")
    mine.chmod(0o644)
    before = os.umask(umask)
    try:
        step = StepPlan("a", ("true",), requirements=(("r.txt", "numpy"),))
        plan = RunPlan("run", "name", (step,), placement=placement)
        assert engine.run(plan, tmp_path / "code", cloud=MemoryCloud(), variables={"a": {"TOKEN": TOKEN}}).state
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    found = modes(home)
    assert found.pop("mine.txt") == 0o644
    assert {"journal.db", "runs", "runs/run", "runs/run/logs", "runs/run/plan.json"} <= set(found)
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def test_what_others_could_read_of_ours_they_cannot_any_more(home: Path, tmp_path: Path) -> None:
    (home / "runs").mkdir(parents=True)
    (home / "locks").mkdir()
    with Journal() as journal:
        journal.drive("old", "name", "cloud", 1, [])
        for name in ("runs", "locks"):
            (home / name).chmod(0o755)
        for path in home.glob("journal.db*"):
            path.chmod(0o644)
        with Journal():
            RunFolder.of("run").write(PLAN, tmp_path / "code", {})
            assert {name: oct(mode) for name, mode in modes(home).items() if mode & 0o077} == {"locks": "0o755"}


def test_a_run_is_in_the_journal_before_its_secrets_are_anywhere_and_gc_deletes_them(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moment, had_secrets = 0, 0
    while True:
        moment += 1
        process = subprocess.run(
            [sys.executable, str(SUBMISSION), str(moment), str(tmp_path / "code")],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        left = RunFolder(home / "runs" / "run").has_secrets()
        with Journal() as journal:
            record = journal.run("run")
        assert record is not None or not (home / "runs").exists() or not any((home / "runs").iterdir())
        answer = gc(capsys)
        assert answer["secrets_deleted"] == (["run"] if left else [])
        assert files_with(TOKEN, home) == []
        if left:
            had_secrets += 1
            with Journal() as journal:
                record = journal.run("run")
            assert record is not None
            assert (record.state, record.message) == ("failed", "the process that drove the run died")
        subprocess.run(["rm", "-rf", str(home)], check=True)
        if process.stdout == "written\n":
            break
    assert had_secrets > 1


def test_a_folder_of_a_run_that_the_journal_does_not_know_is_found_too(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "runs" / "lost"
    (folder / "inner").mkdir(parents=True)
    for path in (folder / "environments.json", folder / "inner" / "environments.json"):
        path.write_text(json.dumps({"a": {"TOKEN": TOKEN}}))
    assert gc(capsys)["secrets_deleted"] == ["lost"]
    assert files_with(TOKEN, home) == []
    assert gc(capsys)["secrets_deleted"] == []


def test_what_is_being_submitted_or_driven_is_left_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.of("run")
    folder.write(PLAN, tmp_path / "code", {"a": {"TOKEN": TOKEN}})
    assert gc(capsys)["secrets_deleted"] == []
    # The controller inherits the submission's lock and has it until its end, so no moment is without a lock.
    child = subprocess.Popen(["sleep", "300"], pass_fds=folder.submission_files())
    folder.end_submission()
    assert gc(capsys)["secrets_deleted"] == []
    child.kill()
    child.wait()
    with folder.driven():
        assert gc(capsys)["secrets_deleted"] == []
    assert gc(capsys)["secrets_deleted"] == ["run"]
    assert files_with(TOKEN, home) == []


def test_a_run_that_cannot_be_packed_is_forgotten(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError):
        RunFolder.of("run").write(PLAN, tmp_path / "nowhere", {"a": {"TOKEN": TOKEN}})
    with Journal() as journal:
        assert journal.runs() == []
    assert list((home / "runs").iterdir()) == []
    RunFolder.of("run").write(PLAN, tmp_path / "code", {})
    with pytest.raises(PlanError, match="there was a run 'run' before"):
        engine.run(PLAN, tmp_path / "code", cloud=MemoryCloud())
    with Journal() as journal:
        assert [record.run_id for record in journal.runs()] == ["run"]
