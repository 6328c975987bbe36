"""The front door: a wrong request gets a 4xx, and no request without the key costs memory."""

import base64
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.app import _ROUTES


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("front-door"), namespaces=False) as cloud:
        yield cloud


def address(cloud: LocalCloud) -> tuple[str, int]:
    return "127.0.0.1", int(cloud.url.rpartition(":")[2])


def bearer(cloud: LocalCloud) -> str:
    return "Bearer " + cloud.environ["LIGHTNING_API_KEY"]


def raw(cloud: LocalCloud, request: bytes) -> tuple[int, bytes]:
    """Send bytes and return the status and all of the answer."""
    with socket.create_connection(address(cloud), 60) as connection:
        connection.sendall(request)
        answer = b""
        while (chunk := connection.recv(65536)) and b"\r\n\r\n" not in answer:
            answer += chunk
        answer += chunk
    return int(answer.split()[1]) if answer else 0, answer


def get(cloud: LocalCloud, *headers: str, path: str = "/v1/auth/user", key: bool = True, host: str | None = "") -> int:
    lines = [f"GET {path} HTTP/1.1", "Connection: close", *headers]
    if host is not None:
        lines.append(f"Host: {host or '127.0.0.1'}")
    if key:
        lines.append(f"Authorization: {bearer(cloud)}")
    return raw(cloud, ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))[0]


def call(cloud: LocalCloud, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address(cloud), timeout=120)
    try:
        headers = {"Authorization": bearer(cloud), **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()
    finally:
        connection.close()


def memory(cloud: LocalCloud) -> int:
    server = json.loads((cloud.root / "server.json").read_text())
    return int(psutil.Process(server["pid"]).memory_info().rss)


@pytest.fixture(scope="module")
def ids(cloud: LocalCloud) -> dict[str, str]:
    """The ids that paths can name: those of a teamspace, a running studio, an ended job and a secret."""

    def post(path: str, body: object) -> Any:
        status, answer = call(cloud, "POST", path, json.dumps(body).encode())
        assert status == 200, answer
        return json.loads(answer)

    project = json.loads(call(cloud, "GET", "/v1/memberships")[1])["memberships"][0]["projectId"]
    studio = post(f"/v1/projects/{project}/cloudspaces", {"name": "door"})["id"]
    post(f"/v1/projects/{project}/cloudspaces/{studio}/start", {"computeConfig": {"name": "cpu-4"}})
    job = post(f"/v1/projects/{project}/jobs", {"name": "door", "spec": {"image": "x", "command": "echo out"}})["id"]
    secret = post(f"/v1/projects/{project}/secrets", {"name": "DOOR", "value": "x"})["id"]
    return {"project": project, "studio": studio, "job": job, "secret": secret}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:1@evil",
        "localhost@evil:1",
        "evil:80",
        "evil",
        "127.0.0.1.evil:80",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "127.0.0.1:",
        "127.0.0.1:80:80",
        "127.0.0.1:\uff180",
        "localhost.:80",
        "[::1]:80",
        "[127.0.0.1]:80",
        "0.0.0.0:80",
        "2130706433:80",
        "127.1:80",
        " ",
    ],
)
def test_any_other_host_is_refused(cloud: LocalCloud, host: str) -> None:
    assert get(cloud, host=host) == 400


def test_the_host_is_there_once(cloud: LocalCloud) -> None:
    assert get(cloud, host=None) == 400
    assert get(cloud, "Host: evil") == 400
    assert get(cloud, "Host: 127.0.0.1") == 400
    assert raw(cloud, b"GET / HTTP/1.0\r\n\r\n")[0] == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8080", "127.0.0.1:1"])
def test_both_names_of_this_computer_are_taken_with_any_port(cloud: LocalCloud, host: str) -> None:
    # Any port is accepted, because the server's port may be forwarded.
    assert get(cloud, host=host) == 200


@pytest.mark.parametrize("origin", ["http://evil", "null", "http://127.0.0.1:1", "https://127.0.0.1", "x"])
def test_a_page_of_another_site_can_send_nothing(cloud: LocalCloud, origin: str) -> None:
    assert get(cloud, f"Origin: {origin}") == 403
    assert get(cloud, f"Origin: {origin}", path="/", key=False) == 403
    form = (
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nOrigin: {origin}\r\nContent-Length: 0\r\n\r\n"
    )
    assert raw(cloud, form.encode())[0] == 403
    assert get(cloud, "Origin: http://127.0.0.1") == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer ключ",
        "Bearer \udcff",
        "Basic ключ",
        "Basic \udcff\udcfe",
        "Basic",
        "Basic ====",
        "Bearer",
        "",
        "Digest x",
        "Basic " + base64.b64encode("ключ:ключ".encode()).decode(),
    ],
)
def test_what_is_no_key_gets_401(cloud: LocalCloud, authorization: str) -> None:
    assert get(cloud, f"Authorization: {authorization}", key=False) == 401


def test_two_keys_are_none(cloud: LocalCloud) -> None:
    assert get(cloud, "Authorization: Bearer wrong") == 400


@pytest.mark.parametrize("cookie", ["ключ", "\udcff", "", ";;;", "=", '"', "x" * 4000])
def test_a_cookie_of_any_bytes_gets_the_form(cloud: LocalCloud, cookie: str) -> None:
    assert get(cloud, f"Cookie: lightning_native_session={cookie}", path="/", key=False) == 401
    assert get(cloud, f"Cookie: {cookie}", path="/page/jobs/x", key=False) == 401


def test_the_cookie_opens_the_page_and_nothing_else(cloud: LocalCloud) -> None:
    key = cloud.environ["LIGHTNING_API_KEY"]
    connection = http.client.HTTPConnection(*address(cloud))
    connection.request("POST", "/login", f"key={key}", {"Content-Type": "application/x-www-form-urlencoded"})
    with connection.getresponse() as answer:
        assert answer.status == 303
        cookie = answer.headers["Set-Cookie"]
    connection.close()
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    session = cookie.partition(";")[0]
    assert get(cloud, f"Cookie: {session}", path="/", key=False) == 200
    for path in ("/v1/auth/user", "/emulator/cost", "/emulator/faults"):
        assert get(cloud, f"Cookie: {session}", path=path, key=False) == 401


@pytest.mark.parametrize(
    "path", ["/", "/login", "/page/jobs/x", "/v1/auth/user", "/nowhere", "/storage/x", "/emulator/cost"]
)
def test_no_answer_is_shown_in_a_frame_guessed_at_or_kept(cloud: LocalCloud, path: str) -> None:
    for key in (True, False):
        connection = http.client.HTTPConnection(*address(cloud))
        connection.request("GET", path, headers={"Authorization": bearer(cloud)} if key else {})
        with connection.getresponse() as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")
        connection.close()


def flood(cloud: LocalCloud, head: str, megabytes: int, *, chunked: bool = False) -> int:
    """Send a large body and return the status; the server may close before all of it was sent."""
    block = b"x" * 1024 * 1024
    framed = f"{len(block):x}\r\n".encode() + block + b"\r\n" if chunked else block
    with socket.create_connection(address(cloud), 60) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(megabytes):
                connection.sendall(framed)
            answer = connection.recv(4096)
        except OSError:
            return 0
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize("framing", ["Content-Length: 419430400", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("request_line", ["POST /login", "POST /v1/projects", "PUT /storage/x.y", "GET /"])
def test_a_body_without_the_key_costs_no_memory(cloud: LocalCloud, request_line: str, framing: str) -> None:
    before = memory(cloud)
    head = f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n\r\n"
    status = flood(cloud, head, 100, chunked="chunked" in framing)
    assert status == 0 or 400 <= status < 500
    assert memory(cloud) - before < 40 * 1024 * 1024
    assert get(cloud) == 200


def test_a_form_is_small(cloud: LocalCloud) -> None:
    assert call(cloud, "POST", "/login", b"key=" + b"x" * 10_000)[0] == 413


def test_a_body_with_the_key_is_bounded_too(cloud: LocalCloud) -> None:
    head = f"POST /v1/projects HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer(cloud)}\r\n"
    assert flood(cloud, f"{head}Transfer-Encoding: chunked\r\n\r\n", 80, chunked=True) in (0, 413)
    assert get(cloud) == 200


def test_a_head_is_bounded(cloud: LocalCloud) -> None:
    before = memory(cloud)
    head = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
    assert flood(cloud, head, 50) in (0, 400)
    assert flood(cloud, "GET /", 50) in (0, 400)
    assert memory(cloud) - before < 30 * 1024 * 1024


def test_a_client_that_does_not_get_to_the_point_is_cut_off(tmp_path: Path) -> None:
    # A server in a process of its own, with shorter time limits.
    script = f"""
import sys
from lightning_native.emulator import connection_limits
connection_limits._PATIENCE_SECONDS = 0.2
connection_limits.MAX_CONNECTIONS = 20
from lightning_native.__main__ import main
sys.exit(main(["emulator", "--root", {str(tmp_path / "root")!r}, "--stop-with-stdin", "--no-namespace"]))
"""
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().decode().rpartition(":")[2])
        for begin in (b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "):
            with socket.create_connection(("127.0.0.1", port), 60) as slow:
                slow.sendall(begin)
                assert slow.recv(100) == b""
        # The limit holds for a second request on a connection as well; an idle connection stays open.
        with socket.create_connection(("127.0.0.1", port), 60) as slow:
            slow.sendall(b"GET /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert slow.recv(4096).startswith(b"HTTP/1.1 401")
            slow.sendall(b"GET /")
            while slow.recv(4096):
                pass
        many = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(60)]
        for connection in many:
            with connection, contextlib.suppress(ConnectionResetError):
                while connection.recv(100):
                    pass
        with socket.create_connection(("127.0.0.1", port), 60) as polite:
            polite.sendall(b"GET /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert polite.recv(4096).startswith(b"HTTP/1.1 401")
        assert server.stdin is not None
        server.stdin.close()
        server.stdout.read()


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /\r\n\r\n",
        "\0\0\0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: zip, chunked\r\n\r\n0\r\n\r\n",
        "GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        "CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        "BREW /v1/auth/user HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_4xx_or_nothing(cloud: LocalCloud, request_text: str) -> None:
    with socket.create_connection(address(cloud), 60) as connection:
        connection.sendall(request_text.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer
    assert get(cloud) == 200


def test_a_path_without_the_key_leaves_no_trace(cloud: LocalCloud) -> None:
    mark = uuid4().hex
    for path in (f"/storage/a/{mark}", f"/storage/logs/a/{mark}", f"/{mark}", f"/page/{mark}", f"//storage/{mark}"):
        assert get(cloud, path=path, key=False) == 401
    assert raw(cloud, f"NONSENSE {mark}\r\n\r\n".encode())[0] == 400
    log = (cloud.root / "server.log").read_text()
    assert mark not in log
    assert "Invalid HTTP request" not in log


def test_no_path_writes_lines_of_the_log(cloud: LocalCloud) -> None:
    mark = uuid4().hex
    assert get(cloud, path=f"/x%0a{mark}%1b[2J{'y' * 5000}") == 400
    line = next(line for line in (cloud.root / "server.log").read_text().splitlines() if mark in line)
    assert f"GET /x?{mark}?[2J" in line
    assert len(line) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": -Infinity}',
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": ' + b'{"a": ' * 60 + b"1" + b"}" * 61,
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\u001b[2J"}',
        b'{"name": ".."}',
        b'{"name": "."}',
        b'{"name": "a/b"}',
        b'{"name": "' + b"x" * 300 + b'"}',
        b'{"name": "' + "ж".encode() * 200 + b'"}',
        b'{"name": {}}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": "x", "spec": []}',
        b'{"name": "x", "spec": {"image": "x", "env": {"A": "b"}}}',
        b'{"name": "x", "spec": {"image": "x", "env": [{"name": "A=B", "value": "c"}]}}',
        b'{"name": "x", "spec": {"image": "x", "env": [{"name": "A", "value": "\\u0000"}]}}',
        b'{"name": "x", "spec": {"image": "x", "maxRunAttempts": "many"}}',
        b'{"name": "x", "spec": {"image": "x", "pathMappings": [{"containerPath": "/tmp/../etc/x"}]}}',
        b'{"name": "x", "spec": {"cloudspaceId": ["x"]}}',
    ],
)
def test_a_body_that_makes_no_sense_gets_400(cloud: LocalCloud, ids: dict[str, str], body: bytes) -> None:
    for kind in ("jobs", "cloudspaces"):
        if kind == "cloudspaces" and b"spec" in body:
            continue
        status, answer = call(cloud, "POST", f"/v1/projects/{ids['project']}/{kind}", body)
        assert status == 400, answer
        assert json.loads(answer)["message"]


@pytest.mark.parametrize(
    "value",
    [
        "bytes=x",
        "bytes=5-1",
        "bytes=-",
        "bytes=0-99999999999999999999999",
        "x",
        "bytes=" + "0-0," * 1000,
        "bytes=\uff19-",
    ],
)
def test_a_range_that_makes_no_sense_is_the_clients_fault(cloud: LocalCloud, ids: dict[str, str], value: str) -> None:
    home = cloud.root / "studios" / ids["studio"] / "home"
    (home / "file").write_text("content")
    path = f"/v1/projects/{ids['project']}/artifacts/cloudspaces/{ids['studio']}/blobs/file"
    assert get(cloud, f"Range: {value}", path=path) in (200, 206, 400, 416)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /v1/projects/{project}/jobs/{job}/logs?tail=x",
        "GET /v1/projects/{project}/jobs/nothing/logs",
        "GET /v1/projects/{project}/follow-logs?jobIds={job}&place=[]",
        "GET /v1/projects/{project}/follow-logs?jobIds={job}&place=%7B%22x%22%3A%20%5B-1%2C%20-1%5D%7D",
        "GET /v1/projects/{project}/follow-logs?jobIds={job}&since=x",
        "GET /v1/projects/{project}/follow-logs",
        "GET /nowhere",
    ],
)
def test_a_websocket_that_makes_no_sense_is_refused(cloud: LocalCloud, ids: dict[str, str], request_line: str) -> None:
    nonce = base64.b64encode(b"x" * 16).decode()
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}"
    request = f"{request_line.format(**ids)} HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}\r\n"
    for extra in (
        f"Authorization: {bearer(cloud)}\r\n",
        "",
        "Authorization: Bearer ключ\r\n",
        "Origin: http://evil\r\n",
    ):
        status, answer = raw(cloud, f"{request}{extra}\r\n".encode())
        assert 400 <= status < 500, answer


KEYS = ["name", "displayName", "spec", "env", "tags", "steps", "blobs", "path", "parts", "upload_id", "part_numbers"]
KEYS += [
    "machines",
    "maxRunAttempts",
    "computeConfig",
    "seedFiles",
    "contents",
    "image",
    "cloudspaceId",
    "instanceName",
]
KEYS += [
    "runId",
    "pathMappings",
    "connectionName",
    "connectionPath",
    "ports",
    "cloudspace",
    "endpoint",
    "value",
    "type",
]
KEYS += ["cronExpression", "timezone", "resourceId", "resourceType", "state", "desiredState", "waitFor", "job", "mmt"]
KEYS += ["sharedFilesystem", "enabled", "clusterId", "organizationId", "idleShutdownSeconds", "disableAutoShutdown"]
KEYS += ["interruptionRetryLimit", "newName", "targetProjectId", "kind", "match", "times", "status", "seconds", "efs"]
KEYS += ["part_number", "etag", "message", "severity", "fired", "id", "detached", "workload", "parallelRuns", "cluster"]
# Commands that are harmless if they run.
COMMANDS = st.sampled_from(["true", "", "\0", 5, None, [], {}, "exit 3"])
ODD = [None, True, -1, 0, 1, 2**70, 1.5, "", "x", "..", "../../x", "/etc/passwd", "\0", "\n", "\x1b[2J", "\udcff"]
ODD += ["x" * 300, "ж" * 200, "cpu-4", "PIPELINE_STEP_TYPE_JOB", "stop", "* * * * *", "UTC", "9" * 30, "a" * 5000]
odd = st.sampled_from(ODD)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = st.dictionaries(st.sampled_from(KEYS), values, max_size=5)
    return st.builds(lambda found, command: {**found, "command": command}, plain, COMMANDS)


bodies = objects(st.recursive(odd, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8))
texts = odd.filter(lambda value: isinstance(value, str)) | st.text(max_size=20)
routes = [
    (method, route.path)
    for route in _ROUTES
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
    if method != "HEAD"
]
QUERY = [
    "cursor",
    "atMost",
    "recursive",
    "pageSize",
    "pageToken",
    "jobIds",
    "since",
    "until",
    "severity",
    "query",
    "ids",
]
QUERY += ["name", "tagIds", "mmtId", "cloudProvider", "type", "tail", "organizationId"]


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_no_request_is_a_fault_of_the_server(cloud: LocalCloud, ids: dict[str, str], data: st.DataObject) -> None:
    method, path = data.draw(st.sampled_from(routes))
    for name in re.findall(r"\{(\w+)(?::\w+)?\}", path):
        known = ids.get({"cloudspace": "studio", "key": "job"}.get(name, name), "")
        text = data.draw(st.sampled_from([known] * 3 + ["x"]) | texts) if known else data.draw(texts)
        path = re.sub(
            r"\{" + name + r"(:\w+)?\}", lambda _match, text=text: quote(text, errors="surrogateescape"), path, count=1
        )
    query = data.draw(st.dictionaries(st.sampled_from(QUERY), texts, max_size=3))
    if query:
        path += "?" + "&".join(f"{name}={quote(value, errors='surrogateescape')}" for name, value in query.items())
    # The deletion of a known thing would leave no valid id for the examples that follow.
    if method == "DELETE" and path.rstrip("/").endswith(tuple(ids.values())):
        return
    body = json.dumps(data.draw(bodies)).encode() if method != "GET" else b""
    status, answer = call(cloud, method, path, body)
    assert status < 500, (method, path, body, answer)


def test_every_object_of_a_list_is_looked_at_for_each_route_that_takes_one(
    cloud: LocalCloud, ids: dict[str, str]
) -> None:
    wrong: list[Any] = [5, [None], {"a": 5}]
    for key in (
        "blobs",
        "steps",
        "seedFiles",
        "env",
        "tags",
        "ports",
        "spec",
        "computeConfig",
        "part_numbers",
        "parts",
    ):
        for value in wrong:
            for method, path in routes:
                if method in ("POST", "PUT") and not path.startswith(("/storage", "/login")):
                    filled = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: ids.get(match[1], "x"), path)
                    if filled.endswith(("/stop", "/fork", "/codeconfig", "/start", "/execute")):
                        continue
                    status, answer = call(cloud, method, filled, json.dumps({"name": "n", key: value}).encode())
                    assert status < 500, (method, path, key, value, answer)


def test_nothing_of_all_that_broke_a_task_of_the_server(cloud: LocalCloud, ids: dict[str, str]) -> None:
    studio = json.loads(call(cloud, "GET", f"/v1/projects/{ids['project']}/cloudspaces/{ids['studio']}")[1])
    assert studio["id"] == ids["studio"]
    log = (cloud.root / "server.log").read_text()
    assert "Traceback" not in log, log[-5000:]
