"""The checks of the outputs that a plan asks for."""

from lightning_native.agent import OUTPUTS_OF_HOME
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.errors import PlanError

_MOST_PATTERNS = 100
_LONGEST_PATTERN = 1000
# Each `**` multiplies the folders that are searched.
_MOST_DEEP = 5
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.1, 86_400.0


def check_outputs(plan: RunPlan) -> None:
    """Refuse outputs that cannot be what the user meant.

    Raises:
        PlanError: a pattern is empty, absolute, has `..`, or is too long; a period makes no sense; or nobody would
            fetch the outputs.
    """
    for step in plan.steps:
        who = f"step {step.name!r}"
        if len(step.outputs) > _MOST_PATTERNS:
            raise PlanError(f"{who} has {len(step.outputs)} outputs; {_MOST_PATTERNS} patterns are the most")
        for pattern in step.outputs:
            problem = _problem_of(pattern)
            if problem:
                raise PlanError(f"{who} has the output {pattern[:100]!r}, {problem}")
        _check_period(step, who)
        if step.outputs and plan.schedule:
            raise PlanError(
                f"{who} has outputs, but nobody fetches those of schedule {plan.schedule.name!r}: its runs have no "
                "controller; let the step upload them itself"
            )


def _check_period(step: StepPlan, who: str) -> None:
    seconds = step.outputs_every
    if seconds is None:
        return
    if not step.outputs:
        raise PlanError(f"{who} has outputs_every, but no outputs; name them, such as 'checkpoints/**'")
    if not _SHORTEST_PERIOD <= seconds <= _LONGEST_PERIOD:
        raise PlanError(f"{who} has an outputs_every of {seconds} s; it is between {_SHORTEST_PERIOD} s and a day")


def _problem_of(pattern: str) -> str | None:
    """Return the reason why a pattern is refused; None if it is not."""
    path = pattern.removeprefix("~/")
    parts = path.split("/")
    if len(pattern) > _LONGEST_PATTERN:
        return f"which is longer than {_LONGEST_PATTERN} characters"
    if pattern.startswith("/"):
        return "which is absolute; write it relative to the step's working folder, or as ~/…"
    if ".." in parts:
        return "which leads out of its folder by `..`; write it relative to the step's working folder, or as ~/…"
    if not path.strip("/. ") or (pattern.startswith("~") and not pattern.startswith("~/")):
        return "which names no files; write a pattern such as 'checkpoints/**' or '*.csv'"
    if parts.count("**") > _MOST_DEEP:
        return f"which has `**` more than {_MOST_DEEP} times"
    if parts[0] == OUTPUTS_OF_HOME:
        return f"whose folder {OUTPUTS_OF_HOME} is the one for outputs of the home; write ~/… for those"
    return None
