"""Every link that the SDK prints leads to a page about that thing, and every refusal shows its text at once."""

import base64
import os
import re
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.server import breaks_links

LINKS = """
import contextlib, io, json, sys
from lightning_sdk import MMT, Job, Machine, Studio
from lightning_sdk.pipeline import JobStep, Pipeline
from lightning_sdk.utils.resolve import _get_studio_url
studio = Studio("linked studio")
studio.start()
links = {"studio": _get_studio_url(studio), "turned on": _get_studio_url(studio, turn_on=True)}
job = Job.run("linked-job", machine=Machine.CPU, command="echo of-the-job", studio=studio)
links["job"] = job.link
links["image job"] = Job.run("linked-image", machine=Machine.CPU, command="true", image="python:3.12").link
several = MMT.run("linked-several", num_machines=2, machine=Machine.CPU, command="true", studio=studio)
links["several"] = several.link
links["one of several"] = several.machines[0].link
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    pipeline = Pipeline("linked-pipeline")
    pipeline.run(steps=[JobStep(name="step", machine=Machine.CPU, command="true", studio=studio)])
links["pipeline"] = next(word for word in printed.getvalue().split() if "/pipelines/" in word)
print(json.dumps(links))
"""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def get(cloud: LocalCloud, url: str, *, signed_in: bool = True) -> tuple[int, str, str]:
    """Return the status, the text and the target of an answer."""
    # As a browser does.
    request = urllib.request.Request(url.replace(" ", "%20"))  # noqa: S310  ours
    if signed_in:
        pair = f"{cloud.environ['LIGHTNING_USER_ID']}:{cloud.environ['LIGHTNING_API_KEY']}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    try:
        with opener.open(request) as answer:
            return answer.status, answer.read().decode(), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers.get("Location", "")


def test_every_link_of_the_sdk_leads_to_the_page_about_its_thing(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "root") as cloud:
        links = answer_of(cloud, LINKS)
        for thing, link in links.items():
            status, _, target = get(cloud, link)
            assert status == 303, (thing, link)
            page, _, anchor = target.partition("#")
            status, text, _ = get(cloud, f"{cloud.url}{page}")
            assert status == 200, (thing, target)
            # The anchor is a place of that page, and the page is about the thing.
            assert not anchor or f'id="{anchor}"' in text, (thing, target)
            name = re.search(r"(studios|jobs|pipelines)/([^/?]+)(/app\?.*job_name=(.*))?", link)
            assert name, link
            assert (name[4] or name[2]).replace("%20", " ") in text, (thing, text)
            # A browser without the key gets the form that asks for it.
            assert get(cloud, link, signed_in=False)[0] == 401
        status, text, _ = get(cloud, links["job"].replace("linked-job", "another"))
        assert (status, "another" in text) == (404, True)


@pytest.mark.parametrize("port", [443, 4430, 44397, 54430, 44297, 40443])
def test_no_port_is_taken_that_the_sdk_cuts_out_of_its_links(port: int) -> None:
    script = """
    from types import SimpleNamespace as Any
    from lightning_sdk.utils.resolve import _get_studio_url
    one = Any(name="x")
    print(_get_studio_url(Any(name="x", owner=one, teamspace=one)))
    """
    environ = {**os.environ, "LIGHTNING_CLOUD_URL": f"http://127.0.0.1:{port}", "LIGHTNING_DISABLE_VERSION_CHECK": "1"}
    argv = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    link = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout
    assert breaks_links(port) == (f"127.0.0.1:{port}/" not in link)


def test_the_links_that_the_command_line_prints_lead_to_a_page(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "root") as cloud:
        (tmp_path / "file").write_text("content")
        command = [str(Path(sys.executable).parent / "lightning"), "studio"]
        environ = {**os.environ, **cloud.environ, "COLUMNS": "300"}
        teamspace = f"{cloud.environ['LIGHTNING_USERNAME']}/{cloud.environ['LIGHTNING_TEAMSPACE']}"
        create = [*command, "create", "--name", "by-command", "--teamspace", teamspace]
        upload = [*command, "cp", str(tmp_path / "file"), f"lit://{teamspace}/studios/by-command/file"]
        links = []
        for argv in (create, upload):
            result = subprocess.run(argv, env=environ, check=False, capture_output=True, text=True, timeout=240)
            assert result.returncode == 0, result.stdout + result.stderr
            links += re.findall(rf"{re.escape(cloud.url)}/[^\s\x1b\\]+", result.stdout + result.stderr)
        assert len(links) >= 2
        for link in links:
            status, _, target = get(cloud, link)
            assert (status, target.startswith("/page/studios/")) == (303, True), link


def test_the_sdk_shows_the_text_of_a_refusal_at_once(tmp_path: Path) -> None:
    script = """
    import json
    from lightning_sdk import Teamspace
    try:
        Teamspace().list_models()
    except Exception as error:
        while error is not None and not getattr(error, "body", None):
            error = error.__cause__ or error.__context__
        print(json.dumps([error.status, json.loads(error.body)["message"]]))
    """
    with LocalCloud(tmp_path / "root") as cloud:
        status, message = answer_of(cloud, script)
        log = (cloud.root / "server.log").read_text()
    assert status == 400
    assert message.startswith("the local cloud has no GET /v1/")
    # Not repeated.
    assert "(1 times)" in log
    assert "(2 times)" not in log


@pytest.mark.parametrize("path", ["/v1/core/teleporters", "/a/b/jobs/c", "/a/b/studios", "/page/nothing"])
def test_a_path_of_nothing_is_no_failure_of_the_server(tmp_path: Path, path: str) -> None:
    with LocalCloud(tmp_path / "root") as cloud:
        assert get(cloud, f"{cloud.url}{path}")[0] in (400, 404)
