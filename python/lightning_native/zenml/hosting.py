"""A controller that lives on Lightning: what it is told, and the plan of the studio it lives in."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.config import DockerSettings

from lightning_native import unique_studio_name
from lightning_native.engine.layout import studio_layout
from lightning_native.engine.operation import REMOTE_HOME
from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.zenml.environment import step_requirements, step_setup

if TYPE_CHECKING:
    from zenml.stack import Stack

STEP = "controller"
# Below the folder of the run that hosts it: the folder of the run that is handed over.
INNER = "inner"
# Where our files are in the controller's studio, below its home.
HOME = f"{REMOTE_HOME}/home"
_MODULE = "lightning_native.zenml.hosted"


@dataclass(frozen=True)
class Hosted:
    """What a controller on Lightning is to do; it goes into a command line and holds no secrets.

    Attributes:
        run_id: of the run.
        argv: the command that drives it; none: the run of the folder that was uploaded.
        pipeline_run: ZenML's id of the run.
        local_cloud: root of the local cloud it runs on; None: on Lightning.
        delete: the controller's own studio, if it is to delete it at the end; None: whoever started it does.
    """

    run_id: str
    argv: tuple[str, ...]
    pipeline_run: str | None
    local_cloud: str | None
    delete: str | None

    def command(self) -> tuple[str, ...]:
        """Return the command of the controller."""
        return ("python", "-m", _MODULE, json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, text: str) -> "Hosted":
        """Read what `command` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "argv": tuple(fields["argv"])})

    @property
    def operation_id(self) -> str:
        """The id under which the studio's agent knows the controller."""
        return f"{self.run_id}.{unique_studio_name(STEP)}.1"


def hosting_plan(
    hosted: Hosted,
    pipeline: str,
    stack: "Stack",
    *,
    docker: DockerSettings,
    commands: Sequence[str] = (),
    machines: tuple[str, ...] = (),
) -> RunPlan:
    """Make the plan of the studio that the controller lives in.

    Args:
        hosted: what the controller is to do.
        pipeline: its name.
        stack: it runs on.
        docker: what is installed for the code that the controller itself runs.
        commands: run after the requirements.
        machines: in the order of preference; none: the default.
    """
    # It talks to Lightning, which steps do not.
    sdk = ("lightning-sdk", f"lightning-sdk=={version('lightning-sdk')}")
    step = StepPlan(
        name=STEP,
        argv=hosted.command(),
        machines=machines,
        requirements=(*step_requirements(docker, stack), sdk),
        retry=Retry(0 if hosted.delete else 1),
        scratch=("ZENML_CONFIG_PATH",),
        setup=step_setup(docker, stack, commands),
    )
    main = machines[0] if machines else None
    return RunPlan(hosted.run_id, _plan_name(pipeline), (step,), main_machine=main)


def controller_studio(pipeline: str, run_id: str) -> str:
    """Return the name of the studio that the controller of a run lives in."""
    nothing = StepPlan(STEP, ("true",))
    return studio_layout(RunPlan(run_id, _plan_name(pipeline), (nothing,)))[0].name


def _plan_name(pipeline: str) -> str:
    return f"{pipeline} controller"


def add_inner_run(folder: RunFolder, plan: RunPlan, environments: Mapping[str, Mapping[str, str]]) -> None:
    """Put the run that is handed over beside the one that hosts it; both have the same code."""
    inner = folder.path / INNER
    inner.mkdir(mode=0o700)
    (inner / "plan.json").write_text(plan.to_json())
    shutil.copyfile(folder.path / "code.json", inner / "code.json")
    descriptor = os.open(inner / "environments.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump({step: dict(variables) for step, variables in environments.items()}, stream)


@dataclass(frozen=True)
class HandedOver:
    """Where the controller of a run lives, kept in the run's folder on the machine it was started from.

    Attributes:
        studio: its name.
        operation_id: of the controller in it.
        component: ZenML's id of the orchestrator, which knows the credentials.
        pipeline_run: ZenML's id of the run.
    """

    studio: str
    operation_id: str
    component: str
    pipeline_run: str | None

    @classmethod
    def read(cls, folder: RunFolder) -> "HandedOver | None":
        """Return where a run's controller lives; None if it lives on this machine."""
        try:
            return cls(**json.loads(_file(folder).read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: RunFolder) -> None:
        """Keep it."""
        _file(folder).write_text(json.dumps(asdict(self)))


def _file(folder: RunFolder) -> Path:
    return folder.path / "handed-over.json"


def logs_command(run_id: str) -> str:
    """Return the command that shows what a controller on Lightning prints, while it runs and afterwards."""
    return f"python -m lightning_native.zenml.remote logs {run_id} --follow"
