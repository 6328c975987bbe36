"""The job runtime of a step: checked before anything exists, run before the step's function.

Runtimes are imported only where a step has one, because every command of ZenML that loads the stack imports this
module.
"""

from collections.abc import Mapping
from typing import Any

from lightning_native.errors import JobError, PlanError


def check_runtime(step: str, runtime: Mapping[str, Any]) -> None:
    """Refuse a runtime that a step cannot run.

    Raises:
        PlanError: it is no runtime, or none that runs in a step; the message names the step.
    """
    unknown = sorted(set(runtime) - {"type", "spec"})
    if unknown or not isinstance(runtime.get("type"), str) or not isinstance(runtime.get("spec"), Mapping):
        raise PlanError(
            f"step {step!r}: its runtime needs a type and a spec, and nothing else; "
            f"it has {', '.join(runtime) or 'nothing'}"
        )
    from lightning_native.jobs.step import step_command

    try:
        step_command(runtime["type"], runtime["spec"])
    except (JobError, TypeError, ValueError, KeyError) as error:
        raise PlanError(f"step {step!r}: its runtime cannot run: {error}") from error


def run(runtime: Mapping[str, Any]) -> None:
    """Run a runtime that was checked, in the working folder.

    Raises:
        JobError: it failed.
    """
    from lightning_native.jobs import runtime_from_spec
    from lightning_native.jobs.step import run_runtime

    run_runtime(runtime_from_spec(runtime["type"], runtime["spec"]))
