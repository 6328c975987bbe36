"""A run that is handed over to Lightning: what its controller there is told, and where it is.

Without ZenML, which takes longer to import than this needs.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_native import unique_studio_name
from lightning_native.child_process import module_arguments
from lightning_native.engine.operation import REMOTE_HOME
from lightning_native.engine.run_folder import RunFolder
from lightning_native.home import write_private

STEP = "controller"
# Where our files are in the controller's studio, below its home.
HOME = f"{REMOTE_HOME}/home"
_MODULE = "lightning_native.zenml.remote_controller.supervisor"


@dataclass(frozen=True)
class Hosted:
    """What a controller on Lightning is to do; it goes into a command line and holds no secrets.

    Attributes:
        run_id: of the run.
        argv: the command that drives it; none: the run of the folder that was uploaded.
        pipeline_run: ZenML's id of the run.
        delete: the controller's own studio, if it is to delete it at the end; None: whoever started it does.
    """

    run_id: str
    argv: tuple[str, ...]
    pipeline_run: str | None
    delete: str | None

    def command(self) -> tuple[str, ...]:
        """Return the command of the controller."""
        return ("python", *module_arguments(_MODULE, json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, text: str) -> "Hosted":
        """Read what `command` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "argv": tuple(fields["argv"])})

    @property
    def operation_id(self) -> str:
        """The id under which the studio's agent knows the controller."""
        return f"{self.run_id}.{unique_studio_name(STEP)}.1"


@dataclass(frozen=True)
class HandedOver:
    """Where the controller of a run lives, kept in the run's folder on the machine it was started from.

    Attributes:
        studio: its name.
        operation_id: of the controller in it.
        component: ZenML's id of the orchestrator, which knows the credentials.
        pipeline_run: ZenML's id of the run.
        keeps_journal: whether a journal there tells how the run stands; none does of a dynamic pipeline.
    """

    studio: str
    operation_id: str
    component: str
    pipeline_run: str | None
    keeps_journal: bool = False

    @classmethod
    def read(cls, folder: RunFolder) -> "HandedOver | None":
        """Return where a run's controller lives; None if it lives on this machine."""
        try:
            return cls(**json.loads(_file(folder).read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: RunFolder) -> None:
        """Keep it."""
        write_private(_file(folder), json.dumps(asdict(self)))


def _file(folder: RunFolder) -> Path:
    return folder.path / "handed-over.json"
