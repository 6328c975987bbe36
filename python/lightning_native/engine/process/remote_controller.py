"""A controller in a studio, as seen from any machine that has the credentials."""

import base64
import json
import re
import shlex
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning_native.agent_protocol import OPERATIONS
from lightning_native.child_process import module_arguments
from lightning_native.engine.record.controller_location import CONTROLLER_HOME, CONTROLLER_STEP, ControllerLocation
from lightning_native.engine.record.run_folder import STOP_FILES
from lightning_native.engine.resource_names import controller_studio_pattern, operation_id
from lightning_native.engine.studios.agent_client import POLL_SECONDS, Agent
from lightning_native.errors import CloudError, ControllerGoneError
from lightning_native.lightning.cloud import Cloud, StudioHandle


class RemoteController:
    """The controller of one run, in its studio."""

    def __init__(self, cloud: Cloud, location: ControllerLocation, run_id: str) -> None:
        self._cloud = cloud
        self.location = location
        self.run_id = run_id

    def is_there(self) -> bool:
        """Return whether the controller's studio exists."""
        return self._cloud.find_studio(self.location.studio) is not None

    def studio(self) -> StudioHandle:
        """Return the controller's studio.

        Raises:
            ControllerGoneError: the studio does not exist any more.
            CloudError: the studio exists and does not run, so the controller does not run either.
        """
        studio = self._cloud.find_studio(self.location.studio)
        if studio is None:
            raise ControllerGoneError(f"the controller of run {self.run_id} in studio {self.location.studio} is gone")
        if not studio.is_up():
            raise CloudError(
                f"studio {studio.name!r}, in which the controller of run {self.run_id} was, is stopped, and the run "
                "with it; start the pipeline again, and delete the studio"
            )
        return studio

    def status(self, wait: float = 0.0) -> dict[str, Any]:
        """Return the run's state, as `runs wait --json` prints it in the studio, at its end or after `wait` seconds.

        A run that is not in a journal there, yet or ever, is "running" without steps.

        Raises:
            ControllerGoneError: the controller is gone.
            CloudError: the studio does not answer.
        """
        studio = self.studio()
        words = module_arguments(
            "lightning_native", "runs", "wait", self.run_id, "--here", "--timeout", str(wait), "--json"
        )
        command = f"LIGHTNING_NATIVE_HOME=$HOME/{CONTROLLER_HOME} python {shlex.join(words)}"
        try:
            output, _ = studio.run(["sh", "-c", command])
        except CloudError:
            self._raise_if_gone()
            raise
        start = output.find("{")
        if start < 0:
            return {"state": "running", "steps": []}
        answer: dict[str, Any] = json.loads(output[start:])
        return answer

    def log(self, *, follow: bool) -> Iterator[bytes]:
        """Yield the output of the controller and of the steps, in pieces cut anywhere.

        Raises:
            ControllerGoneError: the controller is gone, maybe in the middle of its log.
            CloudError: the studio does not answer.
        """
        agent, offset = Agent(self.studio(), self._pause), 0
        wait = str(POLL_SECONDS if follow else 0)
        while True:
            try:
                answer = agent.call("poll", self.location.operation_id, "--offset", str(offset), "--wait", wait)
            except CloudError:
                self._raise_if_gone()
                raise
            yield base64.b64decode(answer["data"])
            offset = answer["offset"]
            if not answer.get("more") and not (follow and answer["state"] == "running"):
                return

    def request_stop(self, *, graceful: bool) -> None:
        """Ask the controller to stop its run.

        Raises:
            ControllerGoneError: the controller is gone.
            CloudError: the studio cannot be reached.
        """
        self.put(STOP_FILES["graceful" if graceful else "forced"])

    def put(self, name: str) -> None:
        """Create an empty file in the run folder in the studio."""
        with tempfile.NamedTemporaryFile() as empty:
            self.studio().upload(Path(empty.name), f"{CONTROLLER_HOME}/runs/{self.run_id}/{name}")

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait until the controller has deleted its studio, which is its last action; return whether it has."""
        deadline = time.monotonic() + seconds
        while self.is_there():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _pause(self, seconds: float) -> None:
        """Wait between two tries of a call; raise if the studio was deleted meanwhile, because no try can succeed."""
        time.sleep(seconds)
        self._raise_if_gone()

    def _raise_if_gone(self) -> None:
        if not self.is_there():
            raise ControllerGoneError(
                f"the controller of run {self.run_id} in studio {self.location.studio} is gone"
            ) from None


def find_controllers(cloud: Cloud, prefix: str) -> list[RemoteController]:
    """Return the controllers on a cloud whose run's id begins with a text, also of runs that other machines submitted.

    Only running studios with a name for controllers are asked.
    """
    pattern = controller_studio_pattern(prefix)
    found = []
    for name in cloud.studio_names():
        studio = cloud.find_studio(name) if pattern.search(name) else None
        if studio is None or not studio.is_running():
            continue
        output, _ = studio.run(["sh", "-c", f"ls {OPERATIONS} 2>/dev/null"])
        ending = re.escape(operation_id("", CONTROLLER_STEP, 1))
        for run_id in dict.fromkeys(re.findall(rf"^([\w.-]+){ending}$", output, re.MULTILINE)):
            if run_id.startswith(prefix):
                location = ControllerLocation(name, operation_id(run_id, CONTROLLER_STEP, 1))
                found.append(RemoteController(cloud, location, run_id))
    return found
