"""The origin of a run: all that a later process needs to drive it from its beginning, or to start it again."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from lightning_native.errors import PlanError
from lightning_native.home import write_private

OnTerminate = Literal["stop", "detach"]

_FILE = "controller.json"
_CONTROLLER = "lightning_native.engine.process.controller"
# Modules of controllers, as folders of earlier versions name them.
_MOVED = {
    "lightning_native.engine.controller": _CONTROLLER,
    "lightning_native.zenml.launch": "lightning_native.zenml.remote_controller.launch",
}


@dataclass(frozen=True)
class Origin:
    """The way in which a run was started; it holds no secret.

    Attributes:
        controller: the controller's module, and arguments of its own.
        local_cloud: the root of the local cloud that the run is on; None: it is on Lightning.
        root: the folder of the code; None: no code is packed, or by an earlier version.
        own_extra: the extra with which studios install this package; None: they do not.
        on_terminate: the effect of a SIGTERM or SIGHUP to the process that waits for the run: it stops the run, or
            leaves it to its controller.
        workflow: the workflow file; None: the run has none.
        options: what the command line gave instead of the file's keys.
        component: ZenML's id of the orchestrator or step operator, which also has credentials; None: the run is not
            ZenML's.
    """

    controller: tuple[str, ...] = (_CONTROLLER,)
    local_cloud: str | None = None
    root: str | None = None
    own_extra: str | None = None
    on_terminate: OnTerminate = "stop"
    workflow: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    component: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "Origin":
        """Read the origin in a run's folder.

        Raises:
            PlanError: there is none.
        """
        path = folder / _FILE
        try:
            values = json.loads(path.read_text())
            known = {name: values[name] for name in (each.name for each in fields(cls)) if name in values}
            module, *arguments = known.pop("controller")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlanError(f"{folder} does not say how its run is driven: {error}") from error
        return cls(controller=(_MOVED.get(module, module), *arguments), **known)

    def write(self, folder: Path) -> None:
        """Write the origin into a run's folder."""
        write_private(folder / _FILE, json.dumps(asdict(self)))

    def changed(self, **changes: Any) -> "Origin":
        """Return the origin with other values."""
        return replace(self, **changes)
