import base64
import json
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from lightning_native.emulator import LocalCloud, read_environ
from lightning_native.errors import EmulatorError


def call(
    cloud: LocalCloud, path: str, *, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    key = f"{cloud.environ['LIGHTNING_USER_ID']}:{cloud.environ['LIGHTNING_API_KEY']}"
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(cloud.url + path, data=content, method=method)  # noqa: S310 - our own server
    request.add_header("Authorization", "Basic " + base64.b64encode(key.encode()).decode())
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 - our own server
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def create_studio(cloud: LocalCloud, name: str, *, start: bool = False) -> str:
    memberships = json.loads(call(cloud, "/v1/memberships")[1])["memberships"]
    studios = f"/v1/projects/{memberships[0]['projectId']}/cloudspaces"
    path = f"{studios}/{json.loads(call(cloud, studios, method='POST', body={'name': name})[1])['id']}"
    if start:
        assert call(cloud, path + "/start", method="POST", body={"computeConfig": {"name": "cpu-4"}})[0] == 200
    return path


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer wrong",
        "Basic !!!",
        "Basic " + base64.b64encode(b"user:wrong").decode(),
        "Basic " + base64.b64encode(b"\xff").decode(),
    ],
)
def test_a_request_without_the_key_gets_401(lightning_cloud: LocalCloud, header: str) -> None:
    assert call(lightning_cloud, "/v1/auth/user", headers={"Authorization": header})[0] == 401
    assert call(lightning_cloud, "/nowhere", headers={"Authorization": header})[0] == 401


def test_the_key_also_works_as_bearer(lightning_cloud: LocalCloud) -> None:
    header = "Bearer " + lightning_cloud.environ["LIGHTNING_API_KEY"]
    assert call(lightning_cloud, "/v1/auth/user", headers={"Authorization": header})[0] == 200


def test_another_host_name_is_refused(lightning_cloud: LocalCloud) -> None:
    assert call(lightning_cloud, "/v1/auth/user", headers={"Host": "evil.example:80"})[0] == 400


def test_it_listens_on_loopback_only(lightning_cloud: LocalCloud) -> None:
    port = int(lightning_cloud.url.rpartition(":")[2])
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_an_endpoint_that_is_not_there_says_so(lightning_cloud: LocalCloud) -> None:
    status, body = call(lightning_cloud, "/v1/core/teleporters")
    assert status == 400
    assert "GET /v1/core/teleporters" in json.loads(body)["message"]
    assert "GET /v1/core/teleporters (1 times)" in (lightning_cloud.root / "server.log").read_text()


@pytest.mark.parametrize("path", ["../../api_key", "a/../../../x", "%2e%2e/%2e%2e/api_key", "link/passwd"])
def test_no_path_leads_outside(lightning_cloud: LocalCloud, path: str) -> None:
    studio = create_studio(lightning_cloud, f"escape-{uuid4().hex[:6]}")
    artifacts = studio.replace("/cloudspaces/", "/artifacts/cloudspaces/")
    home = lightning_cloud.root / "studios" / studio.rpartition("/")[2] / "home"
    (home / "link").symlink_to("/etc")
    assert call(lightning_cloud, f"{artifacts}/blobs/{path}")[0] in (400, 404)
    blob = {"blobs": [{"path": path.replace("%2e", ".")}]}
    assert call(lightning_cloud, f"{artifacts}/blobs", method="POST", body=blob)[0] == 400


def test_a_forged_upload_address_is_refused(lightning_cloud: LocalCloud) -> None:
    payload = base64.urlsafe_b64encode(b'{"scope": "projects/x", "path": "y", "upload": "", "part": 0}').decode()
    assert call(lightning_cloud, f"/storage/{payload}.0000", method="PUT", body="x")[0] == 403


def test_the_key_is_private_and_never_logged(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        key = cloud.environ["LIGHTNING_API_KEY"]
        call(cloud, "/v1/nothing/here")
        for name in ("api_key", "server.json", "state.sqlite", "server.log"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
        argv = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        assert not [line for line in argv if key in line]
    assert key not in (tmp_path / "server.log").read_text()


def test_studios_files_key_and_address_survive_a_restart(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        environ = cloud.environ
        assert read_environ(tmp_path) == environ
        studio = create_studio(cloud, "durable", start=True)
        home = tmp_path / "studios" / studio.rpartition("/")[2] / "home"
        (home / "kept.txt").write_text("kept")
    assert read_environ(tmp_path) is None
    with LocalCloud(tmp_path) as cloud:
        assert cloud.environ == environ
        document = json.loads(call(cloud, studio)[1])
        assert document["name"] == "durable"
        assert "inUse" not in document["codeStatus"]
        artifacts = studio.replace("/cloudspaces/", "/artifacts/cloudspaces/")
        assert call(cloud, f"{artifacts}/blobs/kept.txt") == (200, b"kept")


def test_a_second_server_on_the_same_root_is_refused(lightning_cloud: LocalCloud) -> None:
    with pytest.raises(EmulatorError, match=f"served already at {lightning_cloud.url} by process"):
        LocalCloud(lightning_cloud.root).start()
    assert call(lightning_cloud, "/v1/auth/user")[0] == 200


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{port}: .*choose another --port"):
            LocalCloud(tmp_path, port=port).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_all_processes_of_studios(tmp_path: Path, number: signal.Signals) -> None:
    mark = uuid4().hex
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--root", str(tmp_path)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    environ = dict(server.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(8))
    assert environ == read_environ(tmp_path)
    cloud = LocalCloud(tmp_path)
    cloud.url, cloud.environ = environ["LIGHTNING_CLOUD_URL"], environ
    studio = create_studio(cloud, "ended", start=True)
    call(cloud, studio + "/execute", method="POST", body={"command": f"sleep 600; : {mark}", "detached": True})
    server.send_signal(number)
    output, log = server.communicate(timeout=120)
    assert server.returncode == 0, log
    assert output == ""
    marker = json.loads(json.dumps(environ))["LIGHTNING_USER_ID"]
    left = [process for process in psutil.process_iter() if marker in _environment(process)]
    assert left == []
    assert not (tmp_path / "server.json").exists()


def _environment(process: psutil.Process) -> list[str]:
    try:
        return list(process.environ().values())
    except psutil.Error:
        return []


def test_a_killed_server_leaves_what_finished_and_finds_what_runs(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path)
    cloud.start()
    studio = create_studio(cloud, "killed", start=True)

    def execute(command: str) -> str:
        body = {"command": command, "detached": True}
        return str(json.loads(call(cloud, studio + "/execute", method="POST", body=body)[1])["sessionName"])

    def result(session: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(call(cloud, f"{studio}/execute/{session}/stream")[1])["result"]
        return answer

    finished = execute("echo finished")
    assert result(finished) == {"exitCode": 0, "output": "finished\n"}
    ends_meanwhile = execute("sleep 0.3; echo meanwhile; exit 4")
    goes_on = execute("while [ ! -e go ]; do sleep 0.05; done; echo went on")
    is_killed = execute("echo $$ > pid; sleep 600")
    home = tmp_path / "studios" / studio.rpartition("/")[2] / "home"
    while not (home / "pid").exists() or not (home / "pid").read_text():
        time.sleep(0.02)

    cloud.kill()
    shell = psutil.Process(int((home / "pid").read_text()))
    for process in [shell.parent(), shell]:
        if process is not None:
            process.kill()
    time.sleep(0.5)
    cloud.start()

    assert result(finished) == {"exitCode": 0, "output": "finished\n"}
    assert result(ends_meanwhile) == {"exitCode": 4, "output": "meanwhile\n"}
    assert result(is_killed)["exitCode"] == 137
    (home / "go").touch()
    assert result(goes_on) == {"exitCode": 0, "output": "went on\n"}
    cloud.stop()


def test_wrong_usage_exits_with_2() -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--ephemeral", "--clock-rate", "0"]
    result = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert "error: --clock-rate takes a rate above 0, and not '0'\n" in result.stderr


def test_a_server_is_asked_for_its_variables_and_stopped_by_its_root(tmp_path: Path) -> None:
    root = tmp_path / "a cloud"
    tool = [sys.executable, "-m", "lightning_native", "emulator"]

    def call_tool(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*tool, *arguments, "--root", str(root)], capture_output=True, text=True, check=False)

    server = subprocess.Popen(
        [*tool, "--root", str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        shown = call_tool("env", "--wait", "120")
        announced = [server.stdout.readline().strip() for _ in shown.stdout.splitlines()]
        assert shown.stdout.splitlines() == announced
        assert json.loads(call_tool("env", "--json").stdout) == read_environ(root)
        assert call_tool("stop").returncode == 0
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.communicate()
    for action in ("env", "stop"):
        refused = call_tool(action)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"no local cloud runs in {root}" in refused.stderr
