"""The bounds of a plan's values: texts that a machine can receive, numbers that a clock can hold, no credentials."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.name_checks import check_variable_names
from lightning_native.errors import PlanError
from lightning_native.user_input.bounds import LONGEST_ARGUMENT, LONGEST_SECONDS, problem_of_text
from lightning_native.user_input.url_credentials import has_credentials, refusal, secret_argument

MOST_RETRIES = 10_000
MOST_PARALLEL = 1_000_000


def check_bounds(plan: RunPlan) -> None:
    """Refuse a plan with a value that no machine can receive, with any placement.

    Raises:
        PlanError: a text has half a character or a NUL, an argument is too long, or a number is too large.
    """
    for where, text in _texts(plan):
        problem = problem_of_text(text)
        if problem is not None:
            raise PlanError(f"{where} {problem}")
    limits = (plan.timeout, plan.boot_timeout, plan.pending_timeout)
    for name, seconds in zip(("the run's timeout", "boot_timeout", "pending_timeout"), limits, strict=True):
        _check_seconds(name, seconds)
    most = (
        ("max_parallelism", plan.max_parallelism),
        *((f"the limit for {name}", n) for name, n in plan.machine_limits),
    )
    for name, number in most:
        if number is not None and number > MOST_PARALLEL:
            raise PlanError(f"{name} is more than {MOST_PARALLEL}; lower it, or leave it out for no limit")
    for step in plan.steps:
        _check_step(step)
    for command in plan.custom_commands:
        _check_length("a setup command", command)


def check_variables(variables_of_steps: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse variables that no process can have.

    Raises:
        PlanError: a name is not allowed, or a value is too long or has a NUL or half a character; the message does not
            show the value.
    """
    for step, variables in variables_of_steps.items():
        check_variable_names(variables, f"step {step!r}")
        for name, value in variables.items():
            problem = _problem_of_value(value)
            if problem is not None:
                raise PlanError(f"step {step!r}: variable {name!a} {problem}")
            if len(value.encode("utf-8", "surrogateescape")) + len(name.encode()) > LONGEST_ARGUMENT - 1:
                raise PlanError(f"step {step!r}: variable {name!r} is longer than Linux takes; put it into a file")


def _problem_of_value(value: str) -> str | None:
    try:
        # A variable of this process may hold bytes that are no UTF-8, which are passed on unchanged.
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return problem_of_text(value)
    return problem_of_text(value) if "\0" in value else None


def check_credentials(plan: RunPlan) -> None:
    """Refuse credentials that would be kept with the plan, in the studios and in logs.

    Raises:
        PlanError: a URL of requirements or setup, or a setup command, has credentials written out; the message does
            not show them.
    """
    for command in plan.custom_commands:
        _check_setup_command("a setup command", command)
    for step in plan.steps:
        for name, text in step.requirements:
            _check_no_credentials(f"step {step.name!r}: its requirements ({name})", text)
        for text in (*step.setup.installer_arguments, *step.setup.commands):
            _check_setup_command(f"step {step.name!r}: its setup", text)


def _check_setup_command(what: str, command: str) -> None:
    _check_no_credentials(what, command)
    argument = secret_argument(command)
    if argument is not None:
        raise PlanError(
            f"{what} has a secret written out after {argument.strip()!r}, which would be kept with the run; "
            "put it into env under a name, and write $NAME in its place"
        )


def _check_no_credentials(what: str, text: str) -> None:
    if has_credentials(text):
        raise PlanError(refusal(what, text))


def _texts(plan: RunPlan) -> Iterator[tuple[str, str]]:
    for field in fields(plan):
        if field.name != "steps":
            yield from _texts_in(field.name, getattr(plan, field.name))
    for step in plan.steps:
        yield from _texts_in(f"step {step.name!a}: its", step)


def _texts_in(where: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts_in(where, item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts_in(f"{where} {field.name}", getattr(value, field.name))


def _check_step(step: StepPlan) -> None:
    name = f"step {step.name!r}"
    _check_seconds(f"{name}: its timeout", step.timeout)
    for argument in (*step.argv, *step.setup.commands):
        _check_length(f"{name}: an argument of its command", argument)
    retry = step.retry
    if retry.count > MOST_RETRIES:
        raise PlanError(f"{name} is tried again more than {MOST_RETRIES} times; lower its retries")
    if not (math.isfinite(retry.delay) and math.isfinite(retry.backoff)):
        raise PlanError(f"{name} has {retry}; its delay and backoff must be numbers with an end")


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not seconds <= LONGEST_SECONDS:
        raise PlanError(f"{name} is {seconds} s, more than ten years; lower it, or leave it out")


def _check_length(name: str, text: str) -> None:
    if len(text.encode()) > LONGEST_ARGUMENT:
        raise PlanError(f"{name} has more than {LONGEST_ARGUMENT} bytes, which Linux does not take; put it into a file")
