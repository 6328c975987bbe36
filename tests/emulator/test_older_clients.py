"""Requests as lightning-sdk before 2026.8.14 sends them (make test-sdk-range runs the clients themselves)."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from lightning_native.emulator import LocalCloud


class Client:
    def __init__(self, cloud: LocalCloud) -> None:
        self.url, self.key = cloud.url, cloud.environ["LIGHTNING_API_KEY"]
        words = f"{cloud.environ['LIGHTNING_USER_ID']}:{self.key}"
        self._authorization = "Basic " + base64.b64encode(words.encode()).decode()

    def ask(self, method: str, path: str, data: Any = None, *, signed: bool = True) -> tuple[int, bytes, Any]:
        content = data if isinstance(data, bytes | None) else json.dumps(data).encode()
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, content, method=method)  # noqa: S310  of the local cloud
        if signed:
            request.add_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def token(self) -> str:
        _, content, _ = self.ask("POST", "/v1/auth/login", {"apiKey": self.key})
        return str(json.loads(content)["token"])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with LocalCloud(tmp_path_factory.mktemp("older")) as cloud:
        yield Client(cloud)


@pytest.fixture(scope="module")
def project(client: Client) -> str:
    _, content, _ = client.ask("GET", "/v1/memberships")
    return f"/v1/projects/{json.loads(content)['memberships'][0]['projectId']}"


@pytest.fixture(scope="module")
def studio(client: Client, project: str) -> str:
    _, content, _ = client.ask("POST", f"{project}/cloudspaces", {"name": "older"})
    return str(json.loads(content)["id"])


def test_a_login_needs_the_key_and_its_token_is_another(client: Client) -> None:
    assert client.ask("POST", "/v1/auth/login", {"apiKey": "wrong-wrong-wrong-wrong"})[0] == 401
    assert client.ask("POST", "/v1/auth/login", {"apiKey": client.key}, signed=False)[0] == 401
    assert client.key not in client.token()


def test_a_token_in_the_address_opens_files_only(client: Client, project: str, studio: str) -> None:
    token = client.token()
    files = f"{project}/artifacts/cloudspaces/{studio}/trees/"
    assert client.ask("GET", f"{files}?token={token}", signed=False)[0] == 200
    for query in ("", "?token=", "?token=wrong", f"?token={token}&token={token}", f"?token={client.key}"):
        assert client.ask("GET", files + query, signed=False)[0] == 401
    for path in (f"{project}/cloudspaces", "/v1/auth/user", f"{project}/secrets", "/v1/projects/artifacts/x"):
        assert client.ask("GET", f"{path}?token={token}", signed=False)[0] == 401


def test_files_of_a_studio_and_the_drive_are_put_in_one_request(client: Client, project: str, studio: str) -> None:
    query = f"?token={client.token()}"
    for files in (f"{project}/artifacts/cloudspaces/{studio}", f"{project}/artifacts", f"{project}/artifacts/uploads"):
        assert client.ask("PUT", f"{files}/blobs/a/b{query}", b"content", signed=False)[0] == 200
        assert client.ask("POST", f"{files}/blobs/a/b/complete{query}", signed=False)[0] == 200
        assert client.ask("POST", f"{files}/blobs/a/c/complete{query}", signed=False)[0] == 404
        assert client.ask("PUT", f"{files}/blobs/..%2f..%2fx{query}", b"content", signed=False)[0] == 400
    studio_file = f"{project}/artifacts/cloudspaces/{studio}/blobs/a/b{query}"
    assert client.ask("GET", studio_file, signed=False)[1] == b"content"
    key = urllib.parse.quote("/Uploads/a/b")
    assert client.ask("GET", f"{project}/artifacts/download{query}&key={key}", signed=False)[1] == b"content"


def test_a_large_file_is_put_in_parts(client: Client, project: str, studio: str) -> None:
    name = f"/cloudspaces/{studio}/code/content/large"
    _, content, _ = client.ask("POST", f"{project}/storage", {"filename": name})
    upload = json.loads(content)["uploadId"]
    _, content, _ = client.ask("POST", f"{project}/storage/uploads/{upload}", {"filename": name, "parts": ["1", "2"]})
    parts = []
    for url, piece in zip(json.loads(content)["urls"], (b"one ", b"two"), strict=True):
        etag = client.ask("PUT", url["url"], piece, signed=False)[2]["ETag"]
        parts.append({"partNumber": url["partNumber"], "etag": etag})
    done = {"filename": name, "parts": parts, "uploadId": upload}
    assert client.ask("POST", f"{project}/storage/complete", done)[0] == 200
    assert client.ask("GET", f"{project}/artifacts/cloudspaces/{studio}/blobs/large")[1] == b"one two"


def test_there_are_no_plugins(client: Client, project: str, studio: str) -> None:
    for path in (f"{project}/cloudspaces/{studio}/plugins", "/v1/cloudspaces/plugins"):
        assert json.loads(client.ask("GET", path)[1]) == {"plugins": {}}
    assert client.ask("GET", f"{project}/cloudspaces/01m8jde83wvf5geb9wyz9qjerb/plugins")[0] == 404


def test_an_old_client_is_given_no_frequency_that_ends_its_thread() -> None:
    from lightning_native.emulator.host import installed_sdk

    with pytest.MonkeyPatch.context() as patch:
        for installed, reads in (
            ("2026.8.5", False),
            ("2026.8.14", True),
            ("2026.10.13", True),
            ("2027.1.1.dev0", True),
        ):
            patch.setattr(installed_sdk, "version", lambda _name, installed=installed: installed)
            installed_sdk.reads_keep_alive_frequency.cache_clear()
            assert installed_sdk.reads_keep_alive_frequency() is reads
    installed_sdk.reads_keep_alive_frequency.cache_clear()
