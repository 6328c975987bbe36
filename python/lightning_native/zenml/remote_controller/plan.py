"""The plan of the studio that a controller on Lightning lives in, and the run that it is handed."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from zenml.config import DockerSettings
from zenml.logger import get_logger

from lightning_native.engine.layout import studio_layout
from lightning_native.engine.plan import RequirementSource, Retry, RunPlan, StepPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.home import write_private
from lightning_native.zenml.compiler.docker_settings import step_requirements, step_setup
from lightning_native.zenml.remote_controller.supervisor_spec import STEP, Hosted

if TYPE_CHECKING:
    from zenml.stack import Stack

logger = get_logger(__name__)

# Of this package's extras, the one that a controller needs.
EXTRA = "zenml"
_OWN_LINE = re.compile(r"\s*lightning[-_.]+native\b(?![-_.]*\w)", re.IGNORECASE)
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
    sdk = ("lightning-sdk", f"lightning-sdk=={version('lightning-sdk')}")
    step = StepPlan(
        name=STEP,
        argv=hosted.command(),
        machines=machines,
        requirements=(*_without_own(step_requirements(docker, stack)), sdk),
        retry=Retry(0 if hosted.delete else 1),
        scratch=("ZENML_CONFIG_PATH",),
        setup=step_setup(docker, stack, commands),
    )
    main = machines[0] if machines else None
    return RunPlan(hosted.run_id, _plan_name(pipeline), (step,), main_machine=main)


def _without_own(sources: Sequence[RequirementSource]) -> tuple[RequirementSource, ...]:
    """Return requirements without those of this package, of which the controller gets the wheel of what runs here."""
    kept = []
    for name, text in sources:
        # One that goes on in the next line is read as one.
        lines = text.replace("\\\n", " ").splitlines()
        dropped = [line.strip() for line in lines if _OWN_LINE.match(line)]
        if dropped:
            logger.info("The controller gets lightning-native as it runs here, not as %s has it: %s", name, dropped[0])
        kept.append((name, "\n".join(line for line in lines if not _OWN_LINE.match(line)) if dropped else text))
    return tuple(kept)


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
    return f"python -m lightning_native.zenml.remote_controller.command logs {run_id} --follow"
