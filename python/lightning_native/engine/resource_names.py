"""The resource names, by which any controller finds jobs, pipelines, studios, folders and operations of a run again.

Each name depends on nothing but its arguments. A change of a name orphans running resources, because those of a dead
controller are found by it. So tests pin every function.
"""

import re

from lightning_native import unique_studio_name
from lightning_native.engine.plan import RunPlan

# Enough of an id for people to distinguish two runs; the hash at a name's end makes it unique.
_SHOWN_CHARACTERS = 12
_SHOWN_OF_PIPELINE = 22


def job_name(plan: RunPlan, step: str, attempt: int) -> str:
    """Return the name of the job of an attempt at a step."""
    return unique_studio_name(plan.name, step, _short(plan.run_id), f"attempt-{attempt}")


def studio_name(plan: RunPlan, step: str | None = None) -> str:
    """Return the name of a run's main studio, or of the studio that one step has for itself."""
    steps = () if step is None else (step,)
    return unique_studio_name(plan.name, *steps, _short(plan.run_id))


def controller_plan_name(pipeline: str) -> str:
    """Return the name of the run whose only step is the controller of a pipeline's run on Lightning.

    It is so short that its studio's name shows the beginning of the run's id, by which other machines find the studio.
    """
    shown = pipeline if len(pipeline) <= _SHOWN_OF_PIPELINE else f"{pipeline[: _SHOWN_OF_PIPELINE - 1]}…"
    return f"{shown} controller"


def controller_studio_pattern(run_id: str) -> "re.Pattern[str]":
    """Return the pattern of the names of studios that may have the controller of a run whose id begins with a text."""
    return re.compile(rf"(^|-)controller-{re.escape(_short(run_id).lower())}[a-z0-9-]*$")


def pipeline_name(plan: RunPlan, part: int = 1) -> str:
    """Return the name of a run's Lightning pipeline; several pipelines of one run are numbered from 1."""
    parts = () if part == 1 else (str(part),)
    return unique_studio_name(plan.name, _short(plan.run_id), *parts)


def pipeline_step_name(step: str) -> str:
    """Return the name of a step within its Lightning pipeline."""
    return unique_studio_name(step)


def schedule_pipeline_name(schedule: str) -> str:
    """Return the name of the Lightning pipeline that a schedule runs."""
    return unique_studio_name("schedule", schedule)


def schedule_owner(schedule: str, run_id: str) -> str:
    """Return the first part of the names of the studios that one version of a schedule has for itself."""
    return f"{schedule} {_short(run_id)}"


def template_studio_name(fingerprint: str, home_id: str, owner: str | None = None) -> str:
    """Return the name of the template studio with a fingerprint.

    Args:
        fingerprint: the fingerprint in hexadecimal.
        home_id: the id of the journal that records it, because two computers have a template studio each.
        owner: the only user of the studio; None: every run of this home uses it.
    """
    return unique_studio_name(owner or "env", _short(fingerprint), home_id)


def jobs_studio_name(home_id: str, cloud_account: str | None = None) -> str:
    """Return the name of the studio from which the jobs of job files start that name none.

    There is one for each home, and for each cloud account but the default one.
    """
    return unique_studio_name("jobs", home_id, *([cloud_account] if cloud_account else []))


def conformance_name(token: str, thing: str) -> str:
    """Return the name of a thing that one run of the conformance suite creates; `token` is that run's own."""
    return unique_studio_name("conformance", token, thing)


def operation_id(run_id: str, step: str, attempt: int) -> str:
    """Return the id by which the agent knows an attempt at a step."""
    return f"{run_id}.{unique_studio_name(step)}.{attempt}"


def pipeline_operation_id(pipeline: str, step: str) -> str:
    """Return the id by which the agents know a step in all the jobs that a Lightning pipeline starts for it."""
    return f"{pipeline}.{pipeline_step_name(step)}"


def log_name(step: str, attempt: int) -> str:
    """Return the name of the file that keeps the output of an attempt at a step."""
    suffix = f".{attempt}" if attempt > 1 else ""
    return f"{unique_studio_name(step)}{suffix}.log"


def drive_folder(name: str) -> str:
    """Return the folder of the drive that a job mounts, or that holds the folders of a pipeline's steps."""
    return f"jobs/{name}"


def outputs_name(step: str) -> str:
    """Return the name of the folder, in a run's, that keeps the outputs of a step."""
    return unique_studio_name(step)


def outputs_folder(plan: RunPlan, step: str) -> str:
    """Return the folder of the drive in which the jobs of a step keep their outputs."""
    return f"outputs/{unique_studio_name(plan.name, step, _short(plan.run_id))}"


def studio_outputs_name(run_id: str, step: str) -> str:
    """Return the name of the agent's folder in a studio in which a step keeps its outputs."""
    return f"{run_id}.{unique_studio_name(step)}"


def _short(name: str) -> str:
    return name[:_SHOWN_CHARACTERS]
