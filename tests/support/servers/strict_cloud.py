"""A strict local cloud by its API: requests of tests to its studios and jobs, and their answers."""

import json
import time
import urllib.request
from typing import Any
from uuid import uuid4

from lightning_native.emulator import LocalCloud

WAIT_SECONDS = 300.0
FINAL = ("completed", "failed", "stopped")


class StrictCloud:
    """A client that starts studios and jobs in a local cloud, and runs commands there."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        members = self.call("GET", "/v1/memberships")["memberships"]
        self.project = next(item["projectId"] for item in members if item["name"] == "local-teamspace")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a request."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cloud.url + path, data=data, method=method)  # noqa: S310 - our own server
        request.add_header("Authorization", f"Bearer {self.cloud.environ['LIGHTNING_API_KEY']}")
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            content: dict[str, Any] = json.loads(answer.read() or b"{}")
        return content

    def of_project(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a request about the teamspace."""
        return self.call(method, f"/v1/projects/{self.project}{path}", body)

    def studio(self) -> str:
        """Return the id of a new, running studio."""
        studio: str = self.of_project("POST", "/cloudspaces", {"name": f"studio-{uuid4().hex[:8]}"})["id"]
        self.start(studio)
        return studio

    def start(self, studio: str) -> None:
        """Start a studio and wait until it runs."""
        self.of_project("POST", f"/cloudspaces/{studio}/start", {})
        deadline = time.monotonic() + WAIT_SECONDS
        while (phase := self.instance(studio)["phase"]) != "CLOUD_SPACE_INSTANCE_STATE_RUNNING":
            assert time.monotonic() < deadline
            assert not phase.endswith("FAILED"), self.instance(studio)
            time.sleep(0.05)

    def instance(self, studio: str) -> dict[str, Any]:
        """Return the machine of a studio."""
        instance: dict[str, Any] = self.of_project("GET", f"/cloudspaces/{studio}/codestatus")["inUse"]
        return instance

    def stop(self, studio: str) -> None:
        """Stop a studio."""
        self.of_project("POST", f"/cloudspaces/{studio}/stop", {})

    def run(self, studio: str, command: str) -> tuple[int, str]:
        """Return the exit code of a command in a studio, and its output."""
        answer = self.of_project("POST", f"/cloudspaces/{studio}/execute", {"command": command, "detached": True})
        path = f"/cloudspaces/{studio}/execute/{answer['sessionName']}/stream"
        while (result := self.of_project("GET", path)["result"])["exitCode"] == -1:
            pass
        return result["exitCode"], result["output"].strip()

    def output(self, studio: str, command: str) -> str:
        """Return the output of a command in a studio, which must succeed."""
        code, output = self.run(studio, command)
        assert code == 0, output
        return output

    def submit(self, command: str, **specification: Any) -> str:
        """Return the id of a new job."""
        body = {
            "name": f"job-{uuid4().hex[:8]}",
            "spec": {"command": command, "instanceName": "cpu-4", **specification},
        }
        job: str = self.of_project("POST", "/jobs", body)["id"]
        return job

    def wait(self, job: str) -> dict[str, Any]:
        """Wait for the end of a job, and return the job."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.of_project("GET", f"/jobs/{job}"))["state"] not in FINAL:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found

    def log(self, job: str) -> str:
        """Wait for the end of a job, and return its output."""
        self.wait(job)
        return (self.cloud.root / "jobs" / job / "output").read_text().strip()
