"""Runs are named by id, its beginning, name or `last`, listed by filters, and compared."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState

Call = Callable[..., str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return call


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record three runs, whose ids are `aa1`, `aa2` and `bb3`, oldest first."""
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    ends: tuple[tuple[str, str, RunState], ...] = (
        ("aa1", "train", "completed"),
        ("aa2", "train", "failed"),
        ("bb3", "serve", "completed"),
    )
    with Journal() as journal:
        for number, (run_id, name, state) in enumerate(ends):
            run = journal.drive(run_id, name, "cloud", 1, ["load", "fit"])
            run.step_preparing("load", 1, "studio", "CPU" if number else "L4")
            run.step_running("load")
            run.step_ended("load", "succeeded")
            run.step_ended("fit", "failed" if state == "failed" else "succeeded")
            run.end(state, "")
            run.flush()


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("aa1", "aa1"), ("bb", "bb3"), ("last", "bb3"), ("train", "aa2"), ("serve", "bb3")],
)
def test_a_run_is_named_by_id_its_beginning_name_or_last(call: Call, reference: str, expected: str) -> None:
    assert json.loads(call("runs", "show", reference, "--json"))["run_id"] == expected


@pytest.mark.parametrize(("reference", "problem"), [("aa", "2 runs"), ("zz", "no run"), ("", "no run")])
def test_a_reference_that_means_no_run_or_several_is_refused(call: Call, reference: str, problem: str) -> None:
    assert problem in call("runs", "show", reference, code=1)


def test_an_id_comes_before_a_name(call: Call) -> None:
    with Journal() as journal:
        journal.begin("cc4", "aa1")
    assert json.loads(call("runs", "show", "aa1", "--json"))["run_id"] == "aa1"


def test_runs_are_listed_with_a_header_newest_first_and_by_filters(call: Call) -> None:
    header, *rows = call("runs").splitlines()
    assert header.split() == ["run", "state", "started", "time", "cost", "name"]
    assert [row.split()[0] for row in rows] == ["bb3", "aa2", "aa1"]
    assert [run["run_id"] for run in json.loads(call("runs", "--failed", "--json"))] == ["aa2"]
    assert len(json.loads(call("runs", "--since", "1h", "--json"))) == 3
    assert json.loads(call("runs", "--since", "0s", "--json")) == []
    assert len(json.loads(call("runs", "--limit", "1", "--json"))) == 1


def test_an_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--since", "0s"]) == 0
    assert capsys.readouterr() == ("", "no run is such\nhint: see all: lightning-native runs\n")


def test_two_runs_are_compared_step_by_step(call: Call) -> None:
    lines = call("runs", "compare", "aa1", "last").splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["aa1", "bb3"]
    load = next(line for line in lines if line.startswith("load")).split()
    assert load[1:6] == ["succeeded", "succeeded", "L4", "→", "CPU"]
    compared = json.loads(call("runs", "compare", "aa1", "aa2", "--json"))
    assert [run["state"] for run in compared["runs"]] == ["completed", "failed"]
    fit = compared["steps"][1]
    assert (fit["step"], fit["first"]["state"], fit["second"]["state"]) == ("fit", "succeeded", "failed")
