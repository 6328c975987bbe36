"""A run's page: large graphs stay readable, costs add up to the bill, and what steps left is on it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.costs import CostRecord, CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.report import read_report, render
from lightning_native.report.graph import draw_graph

PICTURE = bytes.fromhex("89504e470d0a1a0a")

Page = Callable[..., str]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Return a function that makes the page of a run of two steps, the second of which failed in its second attempt."""
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    folder = RunFolder.of("r")
    steps = (StepPlan("load", ("true",)), StepPlan("fit", ("true",), upstream=("load",)))
    folder.write(RunPlan("r", "p", steps), tmp_path / "code", {})

    def page(prepare: Callable[[RunFolder], object] = lambda _folder: None) -> str:
        folder.log("load").write_text("loaded\n")
        folder.log("fit", 1).write_text("first try\n")
        folder.log("fit", 2).write_text("second try\nValueError: no\n")
        prepare(folder)
        with Journal() as journal:
            run = journal.drive("r", "p", "cloud", 1, ["load", "fit"])
            for number, (step, machine, dollars) in enumerate((("load", "CPU", 0.25), ("fit", "L4", 1.5))):
                run.step_preparing(step, number + 1, f"job-{step}", machine)
                run.step_running(step)
                record = CostRecord("r", "job", f"job-{step}", step, machine, 1.0, 1000.0, 1010.0, dollars)
                run.cost(record, {"boot": dollars / 5, "steps": dollars * 4 / 5})
            run.step_ended("load", "succeeded", 0, "", 0.25, 2.0)
            run.step_ended("fit", "failed", 1, "ValueError: no", 1.5, 3.0)
            run.end("failed", "step fit: ValueError: no")
            run.flush()
            record_of_run = journal.run("r")
            assert record_of_run is not None
            cost = CostSummary.of(journal, "r")
            report = read_report(record_of_run, journal.steps("r"), journal.leases("r"), journal.events("r"), cost)
        return render(report)

    return page


def test_the_failed_step_is_open_on_top_with_the_end_of_its_newest_attempt(page: Page) -> None:
    text = page()
    failure = text[text.index("What failed") : text.index("<h2>Steps")]
    assert "second try\nValueError: no" in failure
    assert "first try" not in failure
    assert text.index("first try") > text.index("<h2>Output")


def test_the_costs_of_machines_and_parts_add_up_to_the_bill(page: Page) -> None:
    text = page()
    assert "$1.75" in text[: text.index("What failed")]
    total = text[text.index("all machines") :]
    assert re.findall(r"\$[0-9.]+", total[: total.index("</tr>")]) == ["$0.3500", "$0.00", "$1.40", "$0.00", "$1.75"]


def test_pictures_and_numbers_that_steps_left_are_shown_and_nothing_through_links(page: Page, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")

    def prepare(folder: RunFolder) -> None:
        root = folder.outputs("fit", 2)
        root.mkdir(parents=True)
        (root / "loss.png").write_bytes(PICTURE)
        (root / "link.png").symlink_to(tmp_path / "secret.png")
        (root / "metrics.json").write_text(json.dumps({"accuracy": 0.875, "name": "x", "good": True}))
        (root / "broken.json").write_text("{")

    text = page(prepare)
    assert text.count("<img src='data:image/png;base64,") == 1
    assert "<td>accuracy</td><td class='number'>0.875</td>" in text
    assert "link.png" not in text


@pytest.mark.parametrize("count", [100, 1000])
def test_a_wide_graph_is_folded_to_a_few_boxes_that_lead_to_what_failed(count: int) -> None:
    names = [f"train_{number}" for number in range(count)]
    upstream: dict[str, tuple[str, ...]] = {"load": (), **dict.fromkeys(names, ("load",)), "best": tuple(names)}
    drawn = draw_graph(upstream, [])
    assert drawn.count("<rect") == 3
    assert drawn.count('class="edge"') == 2
    assert f"&times; {count}" in drawn


def test_a_small_graph_is_drawn_step_by_step() -> None:
    upstream: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    drawn = draw_graph(upstream, [])
    assert drawn.count("<rect") == 4
    assert drawn.count('class="edge"') == 4
