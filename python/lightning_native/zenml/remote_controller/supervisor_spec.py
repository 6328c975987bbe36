"""The task of a supervisor: what it starts in its studio, and what it does at the end.

It imports no ZenML, which takes longer than a supervisor needs to start.
"""

import json
from dataclasses import asdict, dataclass

from lightning_native.child_process import module_arguments
from lightning_native.engine.plan import KeepPolicy
from lightning_native.engine.record.controller_location import CONTROLLER_STEP
from lightning_native.engine.resource_names import operation_id

_MODULE = "lightning_native.zenml.remote_controller.supervisor"
# A supervisor that is killed, as for want of memory, is started again, because nobody else would end its studio. The
# shell waits for it through SIGTERM, which both receive.
_LIVES = (
    "trap ended=1 TERM; for life in 1 2 3; do "
    '"$@"; code=$?; [ "$code" -gt 128 ] && [ -z "$ended" ] || break; done; exit "$code"'
)


@dataclass(frozen=True)
class SupervisorSpec:
    """The task of one supervisor; it goes into a command line and holds no secrets.

    Attributes:
        run_id: of the run.
        argv: the command that drives it; none: the run of the folder that was uploaded.
        pipeline_run: ZenML's id of the run.
        delete: the supervisor's own studio, if it is to delete it at the end; None: the submitting machine does.
        timeout: the seconds that the run may take; None: no limit, or one that the submitting machine keeps.
        keep: when the studio is stopped at the end and kept with its files, instead of being deleted.
        may_be_cached: whether a step of the uploaded run may turn out in mid-run to be cached.
    """

    run_id: str
    argv: tuple[str, ...]
    pipeline_run: str | None
    delete: str | None
    timeout: float | None = None
    keep: KeepPolicy = "never"
    may_be_cached: bool = False

    def command(self) -> tuple[str, ...]:
        """Return the command of the supervisor."""
        return ("sh", "-c", _LIVES, "supervisor", "python", *module_arguments(_MODULE, json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, text: str) -> "SupervisorSpec":
        """Read what `command` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "argv": tuple(fields["argv"])})

    @property
    def operation_id(self) -> str:
        """The id under which the studio's agent knows the supervisor."""
        return operation_id(self.run_id, CONTROLLER_STEP, 1)
