"""`lightning-native runs prune` deletes the folders of old runs, and only of those that have ended."""

import json
from pathlib import Path

import pytest

from lightning_native import engine
from lightning_native.cli import main
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.memory import MemoryCloud

DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    code = tmp_path / "code"
    code.mkdir()
    # Ages in days, by the names of runs.
    for run_id in ("old40", "old20", "new1", "held50", "driven50", "open50"):
        plan = RunPlan(run_id, run_id, (StepPlan("a", ("true",)),))
        assert engine.run(plan, code, cloud=MemoryCloud()).state == "completed"
        (RunFolder.of(run_id).path / "logs" / "big").write_bytes(b"x" * 100_000)
    with Journal() as journal:
        journal.drive("held50", "held50", "memory", 1, []).lease("studio", "left")
        with journal.transaction() as connection:
            connection.execute("UPDATE runs SET ended = ended - ? * CAST(substr(run_id, -2) AS REAL)", (DAY,))
            connection.execute("UPDATE runs SET ended = ended + 99 * 86400.0 WHERE run_id = 'new1'")
            connection.execute("UPDATE runs SET state = 'running' WHERE run_id = 'open50'")
    return tmp_path / "home"


def folders(home: Path) -> set[str]:
    return {path.name for path in (home / "runs").iterdir()}


def test_old_runs_go_and_what_runs_or_holds_something_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    all_of_them = folders(home)
    capsys.readouterr()
    with RunFolder.of("driven50").driven():
        assert main(["runs", "prune", "--older-than", "30d", "--dry-run", "--json"]) == 0
        assert [run["run_id"] for run in json.loads(capsys.readouterr().out)["pruned"]] == ["old40"]
        assert main(["runs", "prune", "--older-than", "30d"]) == 2
        assert folders(home) == all_of_them
        assert main(["runs", "prune", "--older-than", "30d", "--yes"]) == 0
        shown = capsys.readouterr()
        assert shown.out == "1 runs pruned, 100.9 kB; 5 kept\n" or "1 runs pruned" in shown.out
        for kept, words in (("held50", "holds something"), ("driven50", "driven now"), ("open50", "has not ended")):
            assert f"kept run {kept}: it" in shown.err
            assert words in shown.err
    assert folders(home) == all_of_them - {"old40"}
    # The driven one has ended meanwhile, and is the oldest; the two newest fit.
    assert main(["runs", "prune", "--keep-bytes", "450k", "--yes", "--json"]) == 0
    assert [run["run_id"] for run in json.loads(capsys.readouterr().out)["pruned"]] == ["driven50"]
    assert main(["runs", "show", "old40", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["state"], record["events"], record["steps"][0]["state"]) == ("completed", [], "succeeded")
    assert main(["runs", "logs", "old40"]) == 1
    assert "its folder was pruned" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--older-than", "30"), ("--older-than", "-1d"), ("--keep-bytes", "many")])
def test_nothing_is_pruned_by_a_command_that_does_not_say_what(home: Path, arguments: tuple[str, ...]) -> None:
    before = folders(home)
    try:
        assert main(["runs", "prune", *arguments, "--yes"]) == 2
    except SystemExit as error:
        assert error.code == 2  # noqa: PT017  argparse ends the process, our own check does not
    assert folders(home) == before
