"""The controller location: the record of a controller that lives in a studio, kept by the submitting machine."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.home import write_private

# The name of the only step of a run whose command is a controller.
CONTROLLER_STEP = "controller"
# LIGHTNING_NATIVE_HOME in the controller's studio, relative to the user's home.
CONTROLLER_HOME = f"{REMOTE_HOME}/home"
_FILE = "controller-location.json"
# The file's name in run folders of earlier versions.
_EARLIER_FILE = "handed-over.json"


@dataclass(frozen=True)
class ControllerLocation:
    """The location of a run's controller in a studio.

    Attributes:
        studio: the name of the controller's studio.
        operation_id: the operation of the agent there that is the controller.
        component: ZenML's id of the orchestrator, which also has credentials.
        pipeline_run: ZenML's id of the run.
        keeps_journal: whether a journal in the studio has the run's steps; none has those of a dynamic pipeline.
        local_cloud: the root of the local cloud that the studio is on; None: it is on Lightning, or unknown.
    """

    studio: str
    operation_id: str
    component: str | None = None
    pipeline_run: str | None = None
    keeps_journal: bool = False
    local_cloud: str | None = None

    @classmethod
    def read(cls, folder: RunFolder) -> "ControllerLocation | None":
        """Return the location of a run's controller; None if the controller lives on this machine."""
        for name in (_FILE, _EARLIER_FILE):
            with suppress(FileNotFoundError):
                known = {field.name for field in fields(cls)}
                values = json.loads((folder.path / name).read_text())
                return cls(**{name: value for name, value in values.items() if name in known})
        return None

    def write(self, folder: RunFolder) -> None:
        """Record the location in the run folder."""
        write_private(folder.path / _FILE, json.dumps(asdict(self)))
