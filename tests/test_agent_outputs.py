"""The agent packs the outputs of an attempt, within its bounds, and gives those of an earlier one to the next."""

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_native import agent, extract_archive
from tests.test_agent import Studio

BOUNDS = {"most_bytes": 1 << 20, "most_files": 100}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "drive" / "step"
    folder.mkdir(parents=True)
    return folder


def wish(store: Path, *patterns: str, **values: Any) -> dict[str, Any]:
    return {"store": str(store), "patterns": list(patterns), "attempt": None, "every": None, **BOUNDS, **values}


def run(studio: Studio, operation: str, outputs: dict[str, Any], script: str) -> dict[str, Any]:
    work = studio.home / "work"
    work.mkdir(exist_ok=True)
    studio.start(operation, argv=["sh", "-ec", script], cwd=str(work), outputs=outputs)
    _, answer = studio.finish(operation)
    result: dict[str, Any] = answer["result"]
    return result


def records(store: Path) -> list[dict[str, Any]]:
    numbers = sorted(int(path.stem) for path in store.glob("*.json"))
    return [json.loads((store / f"{number}.json").read_text()) for number in numbers]


def packed(store: Path, number: int, into: Path) -> dict[str, str]:
    extract_archive(store / f"{number}.tar.gz", into)
    return {str(path.relative_to(into)): path.read_text() for path in sorted(into.rglob("*")) if path.is_file()}


def test_patterns_select_files_folders_and_any_depth(studio: Studio, store: Path, tmp_path: Path) -> None:
    script = (
        "mkdir -p a/b/c d .hidden; echo 1 > a/b/c/x.ckpt; echo 2 > a/y.ckpt; echo 3 > d/z; echo 4 > .hidden/f; "
        "echo 5 > t.csv; echo 6 > t.txt; mkdir e; echo 7 > e/u.csv; printf 8 > 'odd name\n'"
    )
    run(studio, "r.a", wish(store, "a/**/*.ckpt", "d", "*.csv", ".hidden/**", "odd*"), script)
    assert packed(store, 2, tmp_path / "out") == {
        ".hidden/f": "4\n",
        "a/b/c/x.ckpt": "1\n",
        "a/y.ckpt": "2\n",
        "d/z": "3\n",
        "odd name\n": "8",
        "t.csv": "5\n",
    }


def test_nothing_of_ours_and_nothing_outside_is_packed(
    studio: Studio, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(studio.home))
    (studio.home / "secret").write_text("outside")
    script = (
        "echo 1 > model; ln -s model last; ln -s ../secret leak; ln -s / root; ln -s /etc/passwd absolute; "
        "mkfifo pipe; echo 2 > A; echo 3 > a; echo 4 > ~/found"
    )
    run(studio, "r.a", wish(store, "**", "~/found", "~/.lightning-native/**", "~/*native/**"), script)
    into = tmp_path / "out"
    assert packed(store, 2, into) == {"A": "2\n", "_home/found": "4\n", "last": "1\n", "model": "1\n"}
    assert (into / "last").is_symlink()
    assert {name for name, _ in records(store)[-1]["left_out"]} == {"a", "absolute", "leak", "pipe", "root"}


def test_what_is_beyond_the_bounds_is_left_out_oldest_first_and_named(
    studio: Studio, store: Path, tmp_path: Path
) -> None:
    script = "for i in 1 2 3 4; do head -c 1000 /dev/zero > $i; touch -d @$((1000000 + i)) $i; done"
    run(studio, "r.a", wish(store, "*", most_bytes=2500), script)
    last = records(store)[-1]
    assert (last["files"], last["left_out_count"]) == (2, 2)
    assert sorted(last["left_out"]) == [[name, "the outputs are larger than 2500 bytes"] for name in ("1", "2")]
    assert sorted(packed(store, 2, tmp_path / "out")) == ["3", "4"]
    run(studio, "r.b", wish(store, "*", most_files=3), "true")
    assert records(store)[-1]["left_out"] == [["1", "there are more than 3 files"]]


def test_the_next_attempt_finds_the_newest_outputs_and_an_empty_one_hides_nothing(studio: Studio, store: Path) -> None:
    find = 'echo "$LIGHTNING_NATIVE_RESUME"; cat "$LIGHTNING_NATIVE_RESUME/model"'
    first = '[ -z "${LIGHTNING_NATIVE_RESUME+x}" ]; echo first > model'
    assert run(studio, "r.a", wish(store, "model"), first)["exit_code"] == 0
    assert run(studio, "r.b", wish(store, "model"), "rm model; exit 3")["exit_code"] == 3
    studio.start("r.c", argv=["sh", "-ec", find], cwd=str(studio.home / "work"), outputs=wish(store, "model"))
    output, answer = studio.finish("r.c")
    folder, content = output.decode().splitlines()
    assert (content, answer["result"]["exit_code"]) == ("first", 0)
    # Removed with the attempt.
    assert not Path(folder).exists()
    assert [record["attempt"] for record in records(store)] == [1, 1, 2, 2, 3, 3]


def test_a_damaged_archive_is_passed_over_for_an_older_one(studio: Studio, store: Path) -> None:
    run(studio, "r.a", wish(store, "model"), "echo first > model")
    run(studio, "r.b", wish(store, "model"), "echo second > model")
    (store / "4.tar.gz").unlink()
    (store / "5.json").write_text("{")
    run(studio, "r.c", wish(store, "model"), 'cp "$LIGHTNING_NATIVE_RESUME/model" found')
    assert (studio.home / "work" / "found").read_text() == "first\n"


def test_outputs_are_packed_while_the_command_runs_and_only_when_they_change(studio: Studio, store: Path) -> None:
    wait = 'until [ "$(ls "$STORE" | grep -c gz)" -ge {} ]; do sleep 0.05; done; '
    script = "echo 1 > model; " + wait.format(1) + "echo 22 > model; " + wait.format(2) + "echo 333 > model"
    outputs = wish(store, "model", every=0.1)
    run(studio, "r.a", outputs, f"STORE='{store}'; {script}")
    found = records(store)
    assert [record.get("final", False) for record in found] == [False, False, False, True]
    # The last two are kept, because the engine may be reading the one before.
    assert sorted(path.name for path in store.glob("*.gz")) == ["3.tar.gz", "4.tar.gz"]
    assert not list(studio.home.glob("**/outputs-*"))


def test_outputs_that_cannot_be_kept_fail_no_command(studio: Studio, store: Path) -> None:
    (store / "2.tar.gz").mkdir()
    result = run(studio, "r.a", wish(store, "model"), "echo 1 > model")
    assert result["exit_code"] == 0
    assert "2.tar.gz" in result["outputs"]["problem"]


def test_without_the_drive_the_outputs_are_kept_below_the_home(studio: Studio, tmp_path: Path) -> None:
    result = run(studio, "r.a", wish(tmp_path / "no" / "such" / "run.step", "model"), "echo 1 > model")
    assert result["outputs"] == {"number": 2, "in_home": True, "problem": ""}
    kept = studio.agent.parent / "outputs" / "run.step"
    assert packed(kept, 2, tmp_path / "out") == {"model": "1\n"}
    assert not (tmp_path / "no").exists()
    studio.call("leave", "run")
    assert not kept.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"patterns": ["/"]},
        {"patterns": [1]},
        {"store": 1},
        {"every": 0},
        {"every": "1"},
        {"attempt": True},
        {"most_bytes": -1},
        {"most_files": None},
    ],
)
def test_a_wish_of_another_kind_is_refused(store: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="wrong outputs"):
        agent.check_specification({"argv": ["true"], "outputs": {**wish(store, "a"), **wrong}})


def test_a_file_that_changes_while_it_is_packed_is_left_out_whole(store: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name * 1000)
    found, _ = agent.select_outputs(str(tmp_path), ["?"], set())
    (tmp_path / "b").write_text("short")
    with (tmp_path / "tar").open("w+b") as stream:
        assert agent.write_tar(found, stream) == [("b", "it changed while it was packed")]
        stream.seek(0)
        agent.copy_compressed(stream, str(store / "1.tar.gz"))
    assert packed(store, 1, tmp_path / "out") == {"a": "a" * 1000, "c": "c" * 1000}
