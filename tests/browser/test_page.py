import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.chromium import Page, open_page

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    reason="needs a browser: make test-browser installs one",
)

WORK = """
from lightning_sdk import Job, Machine, Studio
studio = Studio("<b>shown")
studio.start(Machine.H100)
studio.run("echo from the studio")
command = "echo line 1; sleep 2; echo '<i>line 2</i>'; exit 3"
Job.run(name="shown-job", machine=Machine.L4, studio=studio, command=command)
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", clock_rate=100) as cloud:
        yield cloud


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with open_page(tmp_path / "browser") as page:
        yield page


def test_the_page_shows_what_happens_while_one_looks(cloud: LocalCloud, page: Page) -> None:
    page.open(cloud.url)
    assert "The key is in the file api_key" in page.text()
    page.evaluate("document.querySelector('input').value = 'wrong'; document.querySelector('form').submit()")
    page.wait_for("location.pathname === '/login' && document.readyState === 'complete'")
    assert "The key is in the file api_key" in page.text()
    page.errors.clear()
    key = cloud.environ["LIGHTNING_API_KEY"]
    page.evaluate(f"document.querySelector('input').value = '{key}'; document.querySelector('form').submit()")
    page.wait_for("document.body.innerText.includes('No studios.')")
    assert "local-teamspace" in page.text()

    environ = {**os.environ, **cloud.environ}
    # A mark of this document: it is lost if the page is loaded again instead of updated.
    page.evaluate("window.sameDocument = true")
    subprocess.run([sys.executable, "-W", "ignore", "-c", WORK], env=environ, check=True, capture_output=True)
    page.wait_for("document.body.innerText.includes('shown-job')")
    assert "<b>shown" in page.text()
    before = float(page.evaluate("document.querySelector('#cost').innerText.slice(1)"))
    page.wait_for(f"parseFloat(document.querySelector('#cost').innerText.slice(1)) > {before}")
    assert page.evaluate("window.sameDocument") is True

    page.evaluate("document.querySelector('a[href^=\"/page/jobs/\"]').click()")
    page.wait_for("document.body.innerText.includes('line 1')")
    page.wait_for("document.querySelector('#state').innerText === 'failed'")
    assert "<i>line 2</i>" in page.text()
    assert "the command ended with exit code 3" in page.text()

    page.evaluate("document.querySelector('a[href=\"/\"]').click()")
    page.wait_for("document.querySelector('a[href^=\"/page/studios/\"]') !== null")
    page.evaluate("document.querySelector('a[href^=\"/page/studios/\"]').click()")
    page.wait_for("document.body.innerText.includes('echo from the studio')")
    assert page.errors == []


def test_the_page_lets_a_browser_see_and_not_act(cloud: LocalCloud, page: Page) -> None:
    page.open(cloud.url)
    key = cloud.environ["LIGHTNING_API_KEY"]
    page.evaluate(f"document.querySelector('input').value = '{key}'; document.querySelector('form').submit()")
    page.wait_for("document.body.innerText.includes('No studios.')")
    assert key not in page.evaluate("document.documentElement.outerHTML + document.cookie")
    status = "fetch('/v1/auth/user').then(answer => { window.answered = answer.status })"
    page.evaluate(status)
    assert page.wait_for("window.answered") == 401
