"""No upload, listing, copy, collection or mount reads or writes outside of the root."""

import base64
import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lightning_native.emulator import LocalCloud


class Api:
    """The endpoints of a cloud, as the SDK calls them."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.project = self.call("GET", "/v1/memberships")[1]["memberships"][0]["projectId"]

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", int(self.cloud.url.rpartition(":")[2]), timeout=120)
        key = {"Authorization": "Bearer " + self.cloud.environ["LIGHTNING_API_KEY"]}
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, content, key)
            with connection.getresponse() as answer:
                read = answer.read()
                is_json = answer.headers.get("Content-Type") == "application/json"
                return answer.status, json.loads(read) if is_json and read else read
        finally:
            connection.close()

    def create(self, kind: str, body: object) -> dict[str, Any]:
        status, answer = self.call("POST", f"/v1/projects/{self.project}/{kind}", body)
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    def studio(self) -> tuple[str, Path]:
        key = self.create("cloudspaces", {"name": f"s-{uuid4().hex[:8]}"})["id"]
        return key, self.cloud.root / "studios" / key / "home"

    def upload(self, artifacts: str, path: str, content: bytes) -> int:
        status, answer = self.call("POST", f"{artifacts}/blobs", {"blobs": [{"path": path}]})
        if status != 200:
            return status
        return self.call("PUT", answer["results"][0]["urls"][0]["url"].removeprefix(self.cloud.url), content)[0]

    def job(self, command: str, **fields: Any) -> dict[str, Any]:
        specification = {"image": "x", "entrypoint": "bash -c", "command": command, **fields}
        job = self.create("jobs", {"name": f"j-{uuid4().hex[:8]}", "spec": specification})
        deadline = time.monotonic() + 120
        while job["state"] not in ("completed", "failed", "stopped") and time.monotonic() < deadline:
            time.sleep(0.05)
            job = self.call("GET", f"/v1/projects/{self.project}/jobs/{job['id']}")[1]
        return job


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with LocalCloud(tmp_path_factory.mktemp("boundaries"), namespaces=False) as cloud:
        yield Api(cloud)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user, which the test leaves unchanged."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("mine")
    (folder / "below").mkdir()
    yield folder
    assert sorted(path.name for path in folder.rglob("*")) == ["below", "file"]
    assert (folder / "file").read_text() == "mine"


def drive_of(api: Api) -> Path:
    drive = api.cloud.root / "drives" / api.project
    (drive / "jobs").mkdir(parents=True, exist_ok=True)
    return drive


@pytest.mark.parametrize("place", ["studio", "drive", "studio through the drive"])
@pytest.mark.parametrize("link", ["folder", "file", "dangling", "chain", "hard"])
def test_links_that_lead_outside_are_neither_read_nor_written_nor_shown(
    api: Api, outside: Path, place: str, link: str
) -> None:
    key, folder = api.studio()
    artifacts = f"/v1/projects/{api.project}/artifacts"
    if place == "studio":
        artifacts += f"/cloudspaces/{key}"
    prefix = ""
    if place == "drive":
        folder = drive_of(api) / uuid4().hex
        folder.mkdir()
        prefix = f"{folder.name}/"
    elif place == "studio through the drive":
        name = api.call("GET", f"/v1/projects/{api.project}/cloudspaces/{key}")[1]["name"]
        prefix = f"studios/{name}/"
    if link == "hard":
        os.link(outside / "file", folder / "link")
        assert api.upload(artifacts, f"{prefix}link", b"new") == 200
        assert (folder / "link").read_bytes() == b"new"
        return
    target = {"folder": outside, "file": outside / "file", "dangling": outside / "new", "chain": folder / "first"}[link]
    (folder / "first").symlink_to(outside)
    (folder / "link").symlink_to(target)
    for path in ("link", "link/file", "link/new", "link/below/new", "first/x"):
        assert api.upload(artifacts, prefix + path, b"x") == 400, path
        assert api.call("GET", f"{artifacts}/blobs/{prefix}{path}")[0] in (400, 404)
        assert api.call("DELETE", f"{artifacts}/blobs/{prefix}{path}")[0] in (400, 404)
        assert api.call("DELETE", f"{artifacts}/trees/{prefix}{path}")[0] in (400, 404)
    status, answer = api.call("GET", f"{artifacts}/trees/{prefix}link")
    assert (status, answer) if status != 200 else answer["tree"] in ([], 400)
    for recursive in ("true", "false"):
        tree = api.call("GET", f"{artifacts}/trees/{prefix}?recursive={recursive}")[1]["tree"]
        assert [entry["path"] for entry in tree if "link" in entry["path"] or "first" in entry["path"]] == []


def test_a_link_inside_a_studio_is_followed_as_before(api: Api) -> None:
    key, home = api.studio()
    artifacts = f"/v1/projects/{api.project}/artifacts/cloudspaces/{key}"
    (home / "real").mkdir()
    (home / "link").symlink_to("real")
    assert api.upload(artifacts, "link/file", b"x") == 200
    assert (home / "real" / "file").read_bytes() == b"x"
    assert api.call("GET", f"{artifacts}/blobs/link/file") == (200, b"x")
    assert {"path": "link", "type": "tree"} in api.call("GET", f"{artifacts}/trees/")[1]["tree"]
    # A deletion through the link does not reach its folder.
    assert api.call("DELETE", f"{artifacts}/trees/link")[0] == 404
    assert (home / "real" / "file").exists()


def test_a_studio_whose_folder_is_a_link_reaches_nothing(api: Api, outside: Path) -> None:
    key, home = api.studio()
    artifacts = f"/v1/projects/{api.project}/artifacts/cloudspaces/{key}"
    shutil.rmtree(home)
    home.symlink_to(outside)
    assert api.upload(artifacts, "file", b"x") == 400
    assert api.call("GET", f"{artifacts}/blobs/file")[0] == 400
    assert api.call("GET", f"{artifacts}/trees/")[0] == 400
    fork = f"/v1/projects/{api.project}/cloudspaces/{key}/fork"
    assert api.call("PUT", fork, {"newName": "copy"})[0] == 400
    job = {"name": "of-a-link", "spec": {"cloudspaceId": key, "command": "true"}}
    assert api.call("POST", f"/v1/projects/{api.project}/jobs", job)[0] == 400
    assert api.call("DELETE", f"/v1/projects/{api.project}/cloudspaces/{key}")[0] == 200


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "..", "/../x", "a/..", "\0", "x" * 256, "ж" * 200, "a/" * 3000, "", "/"]
)
def test_seed_files_and_uploads_have_paths_of_the_studio(api: Api, path: str) -> None:
    key, home = api.studio()
    artifacts = f"/v1/projects/{api.project}/artifacts/cloudspaces/{key}"
    assert api.upload(artifacts, path, b"x") == 400
    body = {"name": "seeded", "seedFiles": [{"path": path, "contents": "x"}]}
    assert api.call("POST", f"/v1/projects/{api.project}/cloudspaces", body)[0] in (200, 400)
    assert list(home.parent.iterdir()) == [home]


@pytest.mark.parametrize("place", ["environment", "environment/bin"])
def test_an_environment_that_is_a_link_is_not_copied_over(api: Api, outside: Path, place: str) -> None:
    key, home = api.studio()
    (home.parent / "environment").mkdir()
    folder = home.parent / place
    if folder.is_dir():
        folder.rmdir()
    folder.symlink_to(outside)
    script = f"#!{home.parent}/environment/bin/python"
    (outside / "file").write_text(script)
    try:
        fork = f"/v1/projects/{api.project}/cloudspaces/{key}/fork"
        status, answer = api.call("PUT", fork, {"newName": "copy"})
        assert (status, "is a link" in answer["message"]) == (400, True)
        assert (outside / "file").read_text() == script
    finally:
        (outside / "file").write_text("mine")


def test_what_a_job_wrote_is_collected_from_its_own_folder_only(api: Api, outside: Path) -> None:
    job = api.job(f"cd /; rm -rf ~; ln -s {outside} ~; echo changed > {outside.parent}/changed")
    assert job["state"] == "completed"
    assert (outside.parent / "changed").exists()
    assert not (drive_of(api) / "jobs" / job["name"]).exists()
    # A link in a job's folder is not followed.
    job = api.job(f"ln -s {outside} ~/folder; ln -s {outside}/file ~/link; ln {outside}/file ~/hard; echo x > ~/own")
    assert sorted(path.name for path in (drive_of(api) / "jobs" / job["name"]).iterdir()) == ["hard", "own"]


def test_artifacts_of_a_job_do_not_go_through_a_link_of_the_drive(api: Api, outside: Path) -> None:
    drive = drive_of(api)
    body = {
        "name": "linked",
        "spec": {
            "image": "x",
            "entrypoint": "bash -c",
            "command": f"ln -s {outside} {drive}/jobs/linked; echo x > made",
        },
    }
    job = api.create("jobs", body)
    path = f"/v1/projects/{api.project}/jobs/{job['id']}"
    deadline = time.monotonic() + 120
    while api.call("GET", path)[1]["state"] != "completed" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (drive / "jobs" / "linked").is_symlink()
    assert api.call("DELETE", path)[0] == 200


def test_a_deleted_job_takes_nothing_away_through_a_link_of_the_drive(api: Api, outside: Path) -> None:
    job = api.job("echo x > made")
    jobs = drive_of(api) / "jobs"
    jobs.rename(jobs.with_name("moved"))
    (outside / "below").rename(outside / job["name"])
    jobs.symlink_to(outside)
    try:
        assert api.call("DELETE", f"/v1/projects/{api.project}/jobs/{job['id']}")[0] == 200
        assert (outside / job["name"]).is_dir()
    finally:
        jobs.unlink()
        jobs.with_name("moved").rename(jobs)
        (outside / job["name"]).rename(outside / "below")


@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_a_mount_takes_the_place_of_nothing_that_is_not_ours(api: Api, outside: Path, kind: str) -> None:
    (drive_of(api) / "lightning_storage" / "data").mkdir(parents=True, exist_ok=True)
    place = Path(f"/tmp/{uuid4().hex}")  # noqa: S108 - where a local cloud mounts
    try:
        if kind == "link":
            place.symlink_to(outside)
        elif kind == "file":
            place.write_text("mine")
        else:
            place.mkdir()
        mapping = {"containerPath": str(place), "connectionName": "data"}
        body = {"name": "mounts", "spec": {"image": "x", "command": "true", "pathMappings": [mapping]}}
        status, answer = api.call("POST", f"/v1/projects/{api.project}/jobs", body)
        assert status == 400
        assert "there is something else" in answer["message"]
        assert (place.is_symlink(), place.is_dir()) == (kind == "link", kind != "file")
    finally:
        shutil.rmtree(place) if kind == "folder" else place.unlink()


def test_a_link_that_came_in_the_place_of_a_mount_stays(api: Api, outside: Path) -> None:
    (drive_of(api) / "lightning_storage" / "data").mkdir(parents=True, exist_ok=True)
    place = Path(f"/tmp/{uuid4().hex}")  # noqa: S108 - where a local cloud mounts
    mapping = {"containerPath": str(place), "connectionName": "data"}
    try:
        job = api.job(f"echo x > {place}/made; rm {place}; ln -s {outside} {place}", pathMappings=[mapping])
        assert job["state"] == "completed", job
        assert (drive_of(api) / "lightning_storage" / "data" / "made").exists()
        assert place.readlink() == outside
    finally:
        place.unlink()


@pytest.mark.parametrize("cluster", ["../../../../escaped", "x/../../../../../escaped", "/escaped", "\0"])
def test_the_shared_folder_of_a_pipeline_is_on_the_drive(api: Api, cluster: str) -> None:
    step = {"name": "a", "type": "PIPELINE_STEP_TYPE_JOB"}
    step |= {"job": {"spec": {"image": "x", "command": "true", "clusterId": cluster}}}  # type: ignore[dict-item]  # JSON
    body = {"name": "shared", "steps": [step], "sharedFilesystem": {"enabled": True}}
    assert api.call("POST", f"/v1/projects/{api.project}/pipelines", body)[0] in (200, 400)
    # Not `rglob`, which raises because the server deletes the content of the trash meanwhile.
    found = [Path(folder) for folder, names, _ in os.walk(api.cloud.root.parent) if "escaped" in names]
    assert [folder for folder in found if not folder.is_relative_to(drive_of(api))] == []


@pytest.mark.parametrize("name", ["..", ".", "/", "\n", "a\nb", "x" * 256, "ж" * 128])
def test_a_name_of_a_job_is_the_name_of_a_folder(api: Api, name: str) -> None:
    before = sorted(drive_of(api).iterdir())
    status, _ = api.call("POST", f"/v1/projects/{api.project}/jobs", {"name": name, "spec": {"image": "x"}})
    assert status == 400
    assert sorted(drive_of(api).iterdir()) == before


NAMES = st.sampled_from(["a", "b", "ж", "a b", "%2e%2e", "..", ".", "", "link", "out", "\0", "x" * 300, "\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


class Files(RuleBasedStateMachine):
    """The files of a studio, through the API, compared with a model; links appear and disappear in between."""

    api: Api
    outside: Path

    written = Bundle("written")

    def __init__(self) -> None:
        super().__init__()
        key, self.home = self.api.studio()
        self.artifacts = f"/v1/projects/{self.api.project}/artifacts/cloudspaces/{key}"
        self.studio = f"/v1/projects/{self.api.project}/cloudspaces/{key}"
        self.model: dict[str, bytes] = {}
        (self.home / "out").symlink_to(self.outside)

    @rule(target=written, path=PATHS, content=st.binary(max_size=5))
    def upload(self, path: str, content: bytes) -> str:
        status = self.api.upload(self.artifacts, path, content)
        assert status in (200, 400), status
        names = [name for name in path.split("/") if name not in ("", ".")]
        if status == 200:
            assert names
            assert not {"..", "\0", "x" * 300} & set(names)
            assert names[0] != "out"
            self.model["/".join(names)] = content
        return path

    @rule(path=written)
    def download(self, path: str) -> None:
        status, content = self.api.call("GET", f"{self.artifacts}/blobs/{quote(path, errors='surrogateescape')}")
        assert status in (200, 400, 404), status
        key = "/".join(name for name in path.split("/") if name not in ("", "."))
        if status == 200:
            assert content == self.model[key]

    @rule(path=written)
    def delete(self, path: str) -> None:
        status, _ = self.api.call("DELETE", f"{self.artifacts}/blobs/{quote(path, errors='surrogateescape')}")
        assert status in (204, 400, 404), status
        if status == 204:
            del self.model["/".join(name for name in path.split("/") if name not in ("", "."))]

    @rule(path=written)
    def delete_folder(self, path: str) -> None:
        top = path.strip("/").split("/")[0]
        status, _ = self.api.call("DELETE", f"{self.artifacts}/trees/{quote(top, errors='surrogateescape')}")
        assert status in (204, 400, 404), status
        if status == 204:
            self.model = {key: value for key, value in self.model.items() if key.split("/")[0] != top}

    @invariant()
    def what_is_listed_is_what_was_uploaded(self) -> None:
        status, answer = self.api.call("GET", f"{self.artifacts}/trees/?recursive=true")
        assert status == 200
        assert {entry["path"]: entry["size"] for entry in answer["tree"]} == {
            path: len(content) for path, content in self.model.items()
        }
        assert [path.name for path in self.outside.iterdir()] == ["file"]

    def teardown(self) -> None:
        self.api.call("DELETE", self.studio)


def test_any_order_of_uploads_and_deletions_stays_inside(api: Api, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    machine = type("FilesHere", (Files,), {"api": api, "outside": tmp_path})
    budget = settings(
        max_examples=40,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(machine, settings=budget)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_signed_address_is_of_one_file_and_one_cloud(api: Api, tmp_path: Path) -> None:
    key, home = api.studio()
    artifacts = f"/v1/projects/{api.project}/artifacts/cloudspaces/{key}"
    url = api.call("POST", f"{artifacts}/blobs", {"blobs": [{"path": "file"}]})[1]["results"][0]["urls"][0]["url"]
    token = url.rpartition("/")[2]
    content, _, signature = token.partition(".")
    payload = json.loads(base64.urlsafe_b64decode(content))
    other = base64.urlsafe_b64encode(json.dumps({**payload, "path": "other"}).encode()).decode()
    for wrong in (
        f"{other}.{signature}",
        f"{content}.",
        f"{content}.{'ж' * 64}",
        ".",
        content,
        f"{content}.{signature}x",
    ):
        assert api.call("PUT", f"/storage/{quote(wrong)}", b"x")[0] == 403
    # The link is created after the address was issued.
    (home / "file").symlink_to(tmp_path / "new")
    assert api.call("PUT", f"/storage/{token}", b"x")[0] == 400
    assert not (tmp_path / "new").exists()
