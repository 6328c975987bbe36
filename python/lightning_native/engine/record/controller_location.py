"""The place of a controller that lives in a studio, as the machine that submitted its run records it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.home import write_private

# The one step of the run that has a controller as its command.
CONTROLLER_STEP = "controller"
# The home of our files in the controller's studio, below the user's.
CONTROLLER_HOME = f"{REMOTE_HOME}/home"
_FILE = "controller-location.json"
# Its name in folders of earlier versions.
_EARLIER_FILE = "handed-over.json"


@dataclass(frozen=True)
class ControllerLocation:
    """The place of a run's controller.

    Attributes:
        studio: name of its studio.
        operation_id: by which the agent there knows it.
        component: ZenML's id of the orchestrator, which has credentials, too.
        pipeline_run: ZenML's id of the run.
        keeps_journal: whether a journal there has the run's steps; none has those of a dynamic pipeline.
        local_cloud: root of the local cloud that it is on; None: it is on Lightning, or not known.
    """

    studio: str
    operation_id: str
    component: str | None = None
    pipeline_run: str | None = None
    keeps_journal: bool = False
    local_cloud: str | None = None

    @classmethod
    def read(cls, folder: RunFolder) -> "ControllerLocation | None":
        """Return the place of a run's controller; None if it lives on this machine."""
        for name in (_FILE, _EARLIER_FILE):
            with suppress(FileNotFoundError):
                known = {field.name for field in fields(cls)}
                values = json.loads((folder.path / name).read_text())
                return cls(**{name: value for name, value in values.items() if name in known})
        return None

    def write(self, folder: RunFolder) -> None:
        """Record it in the run's folder."""
        write_private(folder.path / _FILE, json.dumps(asdict(self)))
