"""The checks of names: each becomes a path, a name at Lightning or part of a line, and is checked here, once."""

import re
import unicodedata
from collections.abc import Iterable

from lightning_native import unique_studio_name
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.errors import InvalidNameError, PlanError

_LONGEST_NAME = 255
_LONGEST_RUN_ID = 100
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# The ids of runs that began before names were checked.
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[^=\s]+")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
# A dash at the start would make the name an option of apt.
_PACKAGE = re.compile(r"[^\s-]\S*")
# Line ends, other controls, halves of characters; marks that change the order in which a line is shown.
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")
_ORDER_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_run_id(run_id: object) -> None:
    """Refuse an id that cannot name a new run, because it becomes a folder's name and part of other names.

    Raises:
        PlanError: the id is not allowed; the message gives the reason.
    """
    text = _text(run_id, "run_id", _LONGEST_RUN_ID)
    if not _RUN_ID.fullmatch(text):
        raise PlanError(f"run_id is {_shown(text)}; use letters, digits, - and _, beginning with a letter or a digit")


def check_folder_name(run_id: object) -> str:
    """Return the id of a run if it can be a folder's name.

    Raises:
        PlanError: it cannot be one.
    """
    text = _text(run_id, "the id of a run", _LONGEST_NAME)
    if not _FOLDER.fullmatch(text):
        raise PlanError(f"the id of a run is {_shown(text)}, which none can have; see: lightning-native runs")
    return text


def check_line(name: object, what: str) -> str:
    """Return a name if people can read it on one line.

    Raises:
        PlanError: the name is empty, too long, or has characters that a line cannot have.
    """
    text = _text(name, what, _LONGEST_NAME)
    wrong = next((c for c in text if c in _ORDER_MARKS or unicodedata.category(c) in _NOT_IN_A_LINE), None)
    if wrong is not None:
        raise PlanError(f"{what} is {_shown(text)}, which has the character U+{ord(wrong):04X}; remove it")
    if not text.strip():
        raise PlanError(f"{what} is empty; give it a name")
    return text


def check_names(plan: RunPlan) -> None:
    """Refuse a plan with a name that is not allowed.

    Raises:
        PlanError: a name is not allowed; the message shows it and gives the reason.
    """
    check_run_id(plan.run_id)
    check_line(plan.name, "the plan's name")
    if plan.main_studio is not None:
        _check_studio(plan.main_studio)
    if plan.cloud_account is not None:
        check_line(plan.cloud_account, "cloud_account")
    for tag in plan.tags:
        check_line(tag, "a tag")
    if plan.schedule is not None:
        check_line(plan.schedule.name, "the schedule's name")
    for step in plan.steps:
        _check_step(step)


def check_variable_names(names: Iterable[object], whose: str) -> None:
    """Refuse names that no variable can have.

    Raises:
        PlanError: a name is empty, or has a character that a variable's name cannot have.
    """
    for name in names:
        text = check_line(name, f"an environment variable of {whose}")
        if not _VARIABLE.fullmatch(text):
            raise PlanError(f"{whose} has the environment variable {_shown(text)}; a name has neither = nor blanks")


def _check_studio(name: object) -> None:
    text = check_line(name, "main_studio")
    if "/" in text or text != text.strip() or text.startswith(("-", ".")):
        raise PlanError(f"main_studio is {_shown(text)}; a studio's name has no /, and no -, . or blank at its start")


def _check_step(step: StepPlan) -> None:
    name = check_line(step.name, "a step's name")
    try:
        unique_studio_name(name)
    except InvalidNameError as error:
        raise PlanError(f"a step's name is {_shown(name)}; it needs a letter or a digit") from error
    whose = f"step {name!r}"
    check_variable_names((*step.scratch, *step.setup.variables), whose)
    for package in step.setup.packages:
        if not _PACKAGE.fullmatch(check_line(package, f"a package of {whose}")):
            raise PlanError(f"{whose} has the package {_shown(package)}; a name has no blanks and begins with no -")
    if step.image is not None:
        image = _text(step.image.name, f"the image of {whose}", 2 * _LONGEST_NAME)
        if image.strip() and not _IMAGE.fullmatch(image):
            raise PlanError(f"{whose} has the image {_shown(image)}; write it as REGISTRY/NAME:TAG")
        if step.image.credentials is not None:
            check_line(step.image.credentials, f"the image credentials of {whose}")


def _text(value: object, what: str, most: int) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{what} is {_shown(value)}; it must be text")
    if len(value) > most:
        raise PlanError(f"{what} is {_shown(value)}, which has {len(value)} characters; {most} are the most")
    return value


def _shown(value: object) -> str:
    # In ASCII, because the wrong character may be one that cannot be shown.
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:60]}…{text[-1]}"
