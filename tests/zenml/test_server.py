"""Eight steps at the same time through a real ZenML server, with its tokens, as through SQLite."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from search import files_with
from workbench import Workbench, register_stack

PIPELINE = """
import time
from pathlib import Path
from zenml import pipeline, step

@step(enable_cache=False)
def meet(number: int, folder: str) -> int:
    # Ends only when all eight are there at the same time.
    (Path(folder) / str(number)).touch()
    deadline = time.monotonic() + 400
    while len(list(Path(folder).iterdir())) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return number

@pipeline
def eight(folder: str) -> None:
    for number in range(8):
        meet(number, folder, id=f"meet{number}")

if __name__ == "__main__":
    meeting = Path(__file__).parent / "meeting"
    meeting.mkdir()
    run = eight(str(meeting))
    print("RESULT", sorted(step.output.load() for step in run.steps.values()))
    print("HEARTBEATS", sum(step.latest_heartbeat is not None for step in run.steps.values()))
"""


@pytest.fixture
def server(zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a ZenML server and yield the environment of a user who has signed in to it."""
    folder = tmp_path / "server"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        name: value for name, value in zenml_home[0].items() if not name.startswith(("LIGHTNING_", "ZENML_"))
    }
    served = {
        **environment,
        "ZENML_CONFIG_PATH": str(folder),
        "ZENML_SERVER": "true",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "local",
        "ZENML_SERVER_AUTO_ACTIVATE": "true",
        "ZENML_DEFAULT_USER_PASSWORD": "only-on-loopback",
        "ZENML_ANALYTICS_OPT_IN": "false",
    }
    command = [sys.executable, "-m", "uvicorn", "zenml.zen_server.zen_server_api:app", "--host=127.0.0.1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--port={port}", "--no-access-log"], env=served, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        token = sign_in(url, process, folder / "log")
        user = {
            **zenml_home[0],
            "ZENML_CONFIG_PATH": str(tmp_path / "config"),
            "ZENML_STORE_URL": url,
            "ZENML_STORE_API_TOKEN": token,
        }
        register_stack(user, tmp_path)
        yield user
    finally:
        process.terminate()
        process.wait(30)


def sign_in(url: str, process: "subprocess.Popen[bytes]", log: Path) -> str:
    credentials = urllib.parse.urlencode({"username": "default", "password": "only-on-loopback"}).encode()
    deadline = time.monotonic() + 400
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]  # noqa: PT018  one reason
        try:
            with urllib.request.urlopen(f"{url}/api/v1/login", credentials) as answer:  # noqa: S310  on loopback
                return str(json.load(answer)["access_token"])
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)


@pytest.mark.parametrize("store", ["sqlite", "server"])
def test_eight_steps_at_the_same_time(
    store: str, request: pytest.FixtureRequest, zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    environment = zenml_home[0] if store == "sqlite" else request.getfixturevalue("server")
    workbench = Workbench(environment, zenml_home[1], tmp_path / "code")
    code, output = workbench.run(PIPELINE)
    assert code == 0, output
    assert f"RESULT {list(range(8))}" in output
    assert set(workbench.statuses().values()) == {"completed"}
    workbench.assert_nothing_left()
    if store == "server":
        # What the heartbeat watch looks at.
        assert "HEARTBEATS 8" in output
        # The token that the steps signed in with is in no file of ours.
        token = environment["ZENML_STORE_API_TOKEN"]
        assert files_with(token, Path(environment["LIGHTNING_NATIVE_HOME"])) == []
