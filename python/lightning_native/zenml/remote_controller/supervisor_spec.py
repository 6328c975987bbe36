"""The task of a supervisor: what it starts in its studio, and what it does at the end.

It imports no ZenML, which takes longer than a supervisor needs to start.
"""

import json
from dataclasses import asdict, dataclass

from lightning_native.child_process import module_arguments
from lightning_native.engine.record.controller_location import CONTROLLER_STEP
from lightning_native.engine.resource_names import operation_id

_MODULE = "lightning_native.zenml.remote_controller.supervisor"


@dataclass(frozen=True)
class SupervisorSpec:
    """The task of one supervisor; it goes into a command line and holds no secrets.

    Attributes:
        run_id: of the run.
        argv: the command that drives it; none: the run of the folder that was uploaded.
        pipeline_run: ZenML's id of the run.
        delete: the supervisor's own studio, if it is to delete it at the end; None: the submitting machine does.
    """

    run_id: str
    argv: tuple[str, ...]
    pipeline_run: str | None
    delete: str | None

    def command(self) -> tuple[str, ...]:
        """Return the command of the supervisor."""
        return ("python", *module_arguments(_MODULE, json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, text: str) -> "SupervisorSpec":
        """Read what `command` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "argv": tuple(fields["argv"])})

    @property
    def operation_id(self) -> str:
        """The id under which the studio's agent knows the supervisor."""
        return operation_id(self.run_id, CONTROLLER_STEP, 1)
