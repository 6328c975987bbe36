"""The page of a run shows its events in a real browser, loads nothing, and runs nothing of the run's output."""

import shutil
from pathlib import Path

import pytest
from tests.browser.chromium import open_page

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


# The least contrast of text on what is behind it, which WCAG 2 asks for at level AA.
CONTRAST = r"""
(() => {
  const parts = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((value) => {
      const v = value / 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\)$/.test(colour)) return colour;
    }
  };
  const ratios = [];
  for (const element of document.querySelectorAll("h1, h2, p, a, td, th, .mark, .faint, pre, summary")) {
    if (element.closest("svg")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    ratios.push((a + 0.05) / (b + 0.05));
  }
  for (const box of document.querySelectorAll("svg a")) {
    const [text, rect] = [box.querySelector("text"), box.querySelector("rect")];
    if (!text) continue;
    const [a, b] = [light(getComputedStyle(text).fill), light(getComputedStyle(rect).fill)].sort((x, y) => y - x);
    ratios.push((a + 0.05) / (b + 0.05));
  }
  return Math.min(...ratios);
})()
"""


def test_the_page_of_a_run(page_of_a_run: Path, tmp_path: Path) -> None:
    with open_page(tmp_path / "browser") as page:
        page.open(page_of_a_run.as_uri())
        text = page.text()
        for words in ("night & <script>", "✗ failed", "exit code 3", "$0.2500", "something happened", "not released"):
            assert words in text
        # What failed comes first, with the end of its output.
        assert text.index("What failed") < text.index("x" * 100) < text.index("Steps")
        assert page.evaluate("document.title") == f"night & {EVIL}"
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("document.querySelectorAll('svg').length") == 2
        assert page.evaluate("document.querySelectorAll('svg .edge').length") == 1
        assert page.evaluate("document.querySelectorAll('svg rect.succeeded').length") == 2
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert "[the last 16 KB of" in page.text()
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0
        assert page.errors == []


def test_the_rows_are_searched_and_boxes_lead_to_them(page_of_a_run: Path, tmp_path: Path) -> None:
    with open_page(tmp_path / "browser") as page:
        page.open(page_of_a_run.as_uri())
        assert page.evaluate("document.querySelector('#steps tbody td').innerText") == EVIL
        page.evaluate("search.value = 'LOAD'; search.dispatchEvent(new Event('input'))")
        assert page.evaluate("[...document.querySelectorAll('#steps tbody tr')].filter(row => !row.hidden).length") == 1
        page.evaluate("search.value = ''; search.dispatchEvent(new Event('input'))")
        links = "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
        assert page.evaluate(f"{links}.filter(id => id.startsWith('step-') && !document.getElementById(id))") == []
        page.evaluate("document.querySelector('.failure a[href^=\"#output\"]').click()")
        page.wait_for("document.querySelector('details:target').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_and_is_legible(page_of_a_run: Path, tmp_path: Path, width: int, scheme: str) -> None:
    with open_page(tmp_path / "browser") as page:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.open(page_of_a_run.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) >= 4.5
        is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert is_dark == (scheme == "dark")
