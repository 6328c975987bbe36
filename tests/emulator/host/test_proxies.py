"""A proxy of the user's, which cannot reach this computer's loopback address."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.host.proxies import PROXIES, without_proxy

# An address without a server, so that every request fails at once.
DEAD = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"NO_PROXY": "example.org"}, {}),
        ({"HTTP_PROXY": ""}, {}),
        *(({name: DEAD}, dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")) for name in PROXIES),
        (
            {"https_proxy": DEAD, "NO_PROXY": "example.org, .internal"},
            dict.fromkeys(("no_proxy", "NO_PROXY"), "example.org,.internal,127.0.0.1,localhost"),
        ),
        (
            {"https_proxy": DEAD, "no_proxy": "a", "NO_PROXY": "localhost"},
            {"no_proxy": "a,127.0.0.1,localhost", "NO_PROXY": "localhost,127.0.0.1"},
        ),
        ({"ALL_PROXY": DEAD, "no_proxy": "*"}, dict.fromkeys(("no_proxy", "NO_PROXY"), "*")),
    ],
)
def test_only_loopback_is_added_to_what_the_user_excepts(given: dict[str, str], expected: dict[str, str]) -> None:
    assert without_proxy(given) == expected


def test_the_sdk_reaches_the_cloud_and_code_in_a_studio_sees_the_users_proxy(tmp_path: Path) -> None:
    """Files go by `requests`, logs by `urllib` and by a websocket, everything else by `urllib3`."""
    (tmp_path / "sent.txt").write_text("sent")
    script = """
    import os, time
    from lightning_native.emulator import LocalCloud

    with LocalCloud() as cloud:
        assert cloud.faults.list() == []
        os.environ.update(cloud.environ)
        from lightning_sdk import Job, Status, Studio

        studio = Studio("behind-a-proxy")
        studio.start()
        studio.upload_file("sent.txt", progress_bar=False)
        studio.download_file("sent.txt", "received.txt")
        assert open("received.txt").read() == "sent"
        print("studio:", studio.run("echo $HTTP_PROXY $all_proxy $NO_PROXY"))
        inside = "import os, requests; print(requests.get(os.environ['LIGHTNING_CLOUD_URL'] + '/').status_code < 500)"
        print("inside:", studio.run(f'python -c "{inside}"'))
        job = Job.run("job", machine="CPU", studio=studio, command="echo logged; sleep 1")
        while job.status == Status.Pending:
            time.sleep(0.05)
        print("followed:", *job.logs(follow=True))
        job.wait(interval=0.1)
        print("read:", str(job.logs).strip())
        studio.delete()
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    environ = {**plain, **dict.fromkeys(PROXIES, DEAD), "NO_PROXY": "example.org", "PYTHONWARNINGS": "ignore"}
    environ.pop("no_proxy", None)
    argv = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert f"studio: {DEAD} {DEAD} example.org,127.0.0.1,localhost" in lines
    assert {"inside: True", "followed: logged", "read: logged"} <= set(lines)


def test_the_variables_to_export_name_the_exception(lightning_cloud: LocalCloud) -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "env", "--root", str(lightning_cloud.root)]
    plain = {name: value for name, value in os.environ.items() if name.lower() not in {*PROXIES, "no_proxy"}}
    for environ, expected in (
        (plain, ""),
        ({**plain, "https_proxy": DEAD, "NO_PROXY": "a b"}, "a b,127.0.0.1,localhost"),
    ):
        exports = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout
        shell = ["env", "-i", "sh", "-c", f'{exports}\nprintf %s "$NO_PROXY|$LIGHTNING_CLOUD_URL"']
        shown = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
        assert shown == f"{expected}|{lightning_cloud.url}"
