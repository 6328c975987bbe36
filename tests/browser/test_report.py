"""The page of a run shows its events in a real browser, loads nothing, and runs nothing of the run's output."""

import shutil
from pathlib import Path

import pytest
from tests.support.chromium import Page, open_page

from lightning_native.cli import main
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    reason="needs a browser: make test-browser installs one",
)
EVIL = "<script>document.title='owned'</script>"


@pytest.fixture
def page_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    steps = (StepPlan("load", ("true",)), StepPlan(EVIL, ("true",), upstream=("load",)), StepPlan("never", ("true",)))
    folder = RunFolder.of("0123")
    folder.write(RunPlan("0123", f"night & {EVIL}", steps), tmp_path / "code", {})
    folder.log(EVIL).write_text(f"hello\n{EVIL}\n" + "x" * 20_000)
    with Journal() as journal:
        run = journal.drive("0123", f"night & {EVIL}", "http://cloud alice/team", 1, [step.name for step in steps])
        run.lease("studio", "left-over", on_release="delete")
        for name in ("load", EVIL):
            run.step_preparing(name, 1, "a-studio", "L4")
            run.step_running(name)
        run.step_ended("load", "succeeded", 0, "", 0.25, 2.0)
        run.step_ended(EVIL, "failed", 3, f"exit code 3 {EVIL}", 0.5, 1.0)
        run.event("something happened", "load")
        run.end("failed", EVIL)
    output = tmp_path / "page.html"
    assert main(["runs", "report", "01", "--output", str(output)]) == 0
    return output


def test_the_page_of_a_run(page_of_a_run: Path, tmp_path: Path) -> None:
    with open_page(tmp_path / "browser") as page:
        page.open(page_of_a_run.as_uri())
        text = page.text()
        for words in ("night & <script>", "failed", "exit code 3", "$0.2500", "something happened", "not released"):
            assert words in text
        assert page.evaluate("document.title") == f"night & {EVIL}"
        assert page.evaluate("document.querySelectorAll('script').length") == 0
        assert page.evaluate("document.querySelectorAll('svg').length") == 2
        assert page.evaluate("document.querySelectorAll('svg .edge').length") == 1
        assert page.evaluate("document.querySelectorAll('svg rect.succeeded').length") == 2
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert "[the last 16 KB of" in page.text()
        light, dark = (background(page, scheme) for scheme in ("light", "dark"))
        assert light != dark
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0
        assert page.errors == []


def background(page: Page, scheme: str) -> str:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))
