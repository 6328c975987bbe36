"""The plan of the studio that a controller on Lightning lives in, and the run that it is handed."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from zenml.config import DockerSettings

from lightning_native.engine.layout import studio_layout
from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.home import write_private
from lightning_native.zenml.environment import step_requirements, step_setup
from lightning_native.zenml.handed_over import STEP, Hosted

if TYPE_CHECKING:
    from zenml.stack import Stack

# Below the folder of the run that hosts it: the folder of the run that is handed over.
INNER = "inner"


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
    names = ("lightning-native", "lightning-sdk")
    ours = tuple((name, f"{name}=={version(name)}") for name in names)
    step = StepPlan(
        name=STEP,
        argv=hosted.command(),
        machines=machines,
        requirements=(*step_requirements(docker, stack), *ours),
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
    write_private(inner / "plan.json", plan.to_json())
    write_private(inner / "code.json", (folder.path / "code.json").read_text())
    variables = {step: dict(variables) for step, variables in environments.items()}
    write_private(inner / "environments.json", json.dumps(variables))


def logs_command(run_id: str) -> str:
    """Return the command that shows what a controller on Lightning prints, while it runs and afterwards."""
    return f"python -m lightning_native.zenml.remote logs {run_id} --follow"
