"""A real ZenML server on this computer, for tests and benches."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.workbench import register_stack


@contextmanager
def serve_zenml(
    environment: dict[str, str],
    folder: Path,
    *,
    address: str = "127.0.0.1",
    register: Callable[[dict[str, str], Path], None] = register_stack,
) -> Iterator[dict[str, str]]:
    """Run a ZenML server, and yield the variables of a user who has signed in to it and has registered a stack."""
    (folder / "server").mkdir(parents=True)
    with socket.socket() as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    url = f"http://{address}:{port}"
    served = {
        **{name: value for name, value in environment.items() if not name.startswith(("LIGHTNING_", "ZENML_"))},
        "ZENML_CONFIG_PATH": str(folder / "server"),
        "ZENML_SERVER": "true",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "local",
        "ZENML_SERVER_AUTO_ACTIVATE": "true",
        "ZENML_DEFAULT_USER_PASSWORD": "only-on-loopback",
        "ZENML_ANALYTICS_OPT_IN": "false",
    }
    command = [sys.executable, "-m", "uvicorn", "zenml.zen_server.zen_server_api:app", f"--host={address}"]
    log = folder / "server" / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--port={port}", "--no-access-log"], env=served, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        user = {
            **environment,
            "ZENML_CONFIG_PATH": str(folder / "config"),
            "ZENML_STORE_URL": url,
            "ZENML_STORE_API_TOKEN": _sign_in(url, process, log),
        }
        register(user, folder)
        yield user
    finally:
        process.terminate()
        process.wait(30)


def _sign_in(url: str, process: "subprocess.Popen[bytes]", log: Path) -> str:
    credentials = urllib.parse.urlencode({"username": "default", "password": "only-on-loopback"}).encode()
    deadline = time.monotonic() + 400
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline
        try:
            with urllib.request.urlopen(f"{url}/api/v1/login", credentials) as answer:  # noqa: S310  ours
                return str(json.load(answer)["access_token"])
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
