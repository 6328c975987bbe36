"""The schema of a workflow file: its keys, their types, and the messages about mistakes."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeGuard, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
)
from pydantic_core import ErrorDetails

from lightning_native.engine.plan import FailureMode
from lightning_native.engine.record.origin import OnTerminate
from lightning_native.placement import DEFAULT_PLACEMENT, PlacementName
from lightning_native.user_input.bounds import LONGEST_SECONDS
from lightning_native.user_input.yaml_document import (
    Document,
    Location,
    Written,
    WrittenBool,
    WrittenFloat,
    WrittenInt,
    did_you_mean,
)

# Each removes what is wrong around what the one before has removed.
_MOST_REPAIRS = 4
_LARGEST_COUNT = 1_000_000
_LONGEST_SHOWN = 100
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_GIGABYTES = re.compile(r"(\d+(?:\.\d+)?) ?(M|G|T)?i?B?", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Return the seconds of `90`, `"90s"`, `"1h30m"` or `"2d"`.

    Raises:
        ValueError: it is none of these, or not finite.
    """
    seconds = -1.0
    if _is_number(value):
        seconds = _float(value)
    elif isinstance(value, str) and _DURATION.fullmatch(value.replace(" ", "")):
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", value)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST_SECONDS and math.isfinite(seconds):
        raise ValueError(f"must be no more than ten years; it is {_shown(value)}")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f'must be seconds, or a text such as "90s", "15m" or "1h30m"; it is {_shown(value)}')
    return seconds


def parse_gigabytes(value: object) -> float:
    """Return the gigabytes of `64`, `"64GB"` or `"512MB"`; GB and GiB are the same, as machines are sold.

    Raises:
        ValueError: it is none of these.
    """
    if _is_number(value) and math.isfinite(_float(value)):
        return float(value)
    match = _GIGABYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be gigabytes, or a text such as "64GB"; it is {_shown(value)}')
    number, unit = float(match[1]), (match[2] or "G").upper()
    gigabytes = number / 1024 if unit == "M" else number * 1024 if unit == "T" else number
    if not math.isfinite(gigabytes):
        raise ValueError(f"must be gigabytes; it is {_shown(value)}")
    return gigabytes


def _printable(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError("must be printable text")
    return name


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool | WrittenBool)


def _number(value: object) -> float:
    if not _is_number(value) or not math.isfinite(_float(value)):
        raise ValueError(f"must be a number; it is {_shown(value)}")
    return float(value)


def _count(value: object) -> int:
    if not _is_number(value) or not isinstance(value, int):
        raise ValueError(f"must be a whole number; it is {_shown(value)}")
    if abs(value) > _LARGEST_COUNT:
        raise ValueError(f"must be at most {_LARGEST_COUNT}; it is {_shown(value)}")
    return int(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool | WrittenBool):
        raise ValueError(f"must be true or false; it is {_shown(value)}")  # noqa: TRY004  pydantic collects ValueErrors
    return bool(value)


def _text(value: object) -> object:
    return value.text if isinstance(value, Written) else value


def _float(value: float) -> float:
    """Return a number as a float; a number that is too large for one becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    text = value.text if isinstance(value, Written) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _variable(value: object) -> object:
    if not isinstance(value, str | Written):
        raise ValueError('must be text or a number; write "" for an empty value')  # noqa: TRY004  as above
    return _text(value)


def _plain(value: object) -> object:
    """Return a value with its numbers and booleans as Python's own."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, WrittenBool):
        return bool(value)
    if isinstance(value, WrittenInt):
        return int(value)
    return float(value) if isinstance(value, WrittenFloat) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Written) else value


# The tags of a union's members are part of pydantic's locations. NUL marks them, because no key can hold it.
def _kind(value: object) -> str | None:
    for kind, name in ((str | Written, "\0text"), (list, "\0list"), (dict, "\0mapping")):
        if isinstance(value, kind):
            return name
    return None


def _kind_of_retries(value: object) -> str | None:
    return "\0number" if _is_number(value) else _kind(value)


def _one_of(message: str, kind: Callable[[object], str | None] = _kind) -> Discriminator:
    return Discriminator(kind, custom_error_type="kind", custom_error_message=message)


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Text = Annotated[str, BeforeValidator(_text), StringConstraints(min_length=1)]
Name = Annotated[str, BeforeValidator(_text), AfterValidator(_printable), StringConstraints(max_length=100)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Limit = Annotated[Duration, Field(gt=0)]
Number = Annotated[float, BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_count)]


class Resources(_Model):
    """The least resources of a machine."""

    gpu: Annotated[Count, Field(ge=0)] | None = None
    gpu_type: Text | None = None
    gpu_memory: Annotated[float, BeforeValidator(parse_gigabytes), Field(gt=0)] | None = None
    cpu: Annotated[Number, Field(gt=0)] | None = None
    memory: Annotated[float, BeforeValidator(parse_gigabytes), Field(gt=0)] | None = None


class Retries(_Model):
    """The number of a failed step's retries, and the pauses before them."""

    count: Annotated[Count, Field(ge=0)]
    delay: Duration = 0.0
    backoff: Annotated[Number, Field(ge=1)] = 1.0


class ScheduleDocument(_Model):
    """The schedule by which Lightning runs the workflow again and again."""

    cron: Text
    timezone: Text = "UTC"
    name: Name | None = None


Names = Annotated[list[Text], Field(min_length=1)]
Command = Annotated[
    Annotated[Text, Tag("\0text")] | Annotated[Names, Tag("\0list")],
    _one_of("must be a shell command (text) or a list of arguments"),
]
Requirements = Annotated[
    Annotated[Text, Tag("\0text")] | Annotated[list[Text], Tag("\0list")],
    _one_of("must be a list of requirements, or the name of a requirements file"),
]
MachineChoice = Annotated[
    Annotated[Text, Tag("\0text")] | Annotated[Names, Tag("\0list")] | Annotated[Resources, Tag("\0mapping")],
    _one_of("must be a machine's name, a list of names, or resources such as {gpu: 1, gpu_type: L4}"),
]
MainMachine = Annotated[
    Annotated[Text, Tag("\0text")] | Annotated[Resources, Tag("\0mapping")],
    _one_of("must be a machine's name, or resources such as {cpu: 8, memory: 32GB}; lists are for steps"),
]
RetryChoice = Annotated[
    Annotated[Count, Field(ge=0), Tag("\0number")] | Annotated[Retries, Tag("\0mapping")],
    _one_of("must be a number of retries, or {count: …, delay: …, backoff: …}", _kind_of_retries),
]
Environment = dict[Text, Annotated[str, BeforeValidator(_variable)]]


class RuntimeDocument(_Model):
    """A runtime of a job file, which a step runs instead of a command."""

    type: Text
    spec: Annotated[dict[str, Any], BeforeValidator(_plain)]


class StepDocument(_Model):
    """One step: a command, or a runtime."""

    command: Command | None = None
    runtime: RuntimeDocument | None = None
    machine: MachineChoice | None = None
    needs: Annotated[list[Text], BeforeValidator(_as_list)] = []
    env: Environment = {}
    requirements: Requirements | None = None
    retries: RetryChoice = 0
    timeout: Limit | None = None
    interruptible: Flag = False
    outputs: Annotated[list[Text], BeforeValidator(_as_list)] = []
    outputs_every: Limit | None = None
    num_machines: Annotated[Count, Field(ge=1)] = 1
    scratch_disks: dict[Text, Annotated[Count, Field(ge=1)]] = {}
    path_mappings: dict[Text, Text] = {}


class WorkflowDocument(_Model):
    """A whole workflow file."""

    name: Name | None = None
    root: Text = "."
    placement: PlacementName = DEFAULT_PLACEMENT
    machine: MainMachine | None = None
    main_studio: Text | None = None
    cloud_account: Text | None = None
    max_parallelism: Annotated[Count, Field(ge=1)] | None = None
    machine_limits: dict[Text, Annotated[Count, Field(ge=1)]] = {}
    on_failure: FailureMode = "continue"
    on_terminate: OnTerminate = "stop"
    timeout: Limit | None = None
    budget: Annotated[Number, Field(gt=0)] | None = None
    boot_timeout: Limit | None = None
    pending_timeout: Limit = 600.0
    schedule: ScheduleDocument | None = None
    env: Environment = {}
    requirements: Requirements | None = None
    setup: list[Text] = []
    steps: Annotated[dict[Name, StepDocument], Field(min_length=1)]


def validate(document: Document) -> tuple[WorkflowDocument | None, list[tuple[Location, str]]]:
    """Return the checked document, without what is wrong in it, and its mistakes; None if too little of it is right."""
    # Keys that begin with `x-` are room for anchors, as in Compose files.
    value = {key: item for key, item in document.value.items() if not key.startswith("x-")}
    problems: list[tuple[Location, str]] = []
    for _ in range(_MOST_REPAIRS):
        try:
            return WorkflowDocument.model_validate(value), problems
        except ValidationError as error:
            details = [(_location(detail["loc"]), detail) for detail in error.errors(include_url=False)]
            # Those of the repaired document are made by the repair.
            problems = problems or [_described(*found) for found in details]
            for location, _detail in details:
                value = _without(value, location)
    return None, problems


def _without(value: Any, location: Location) -> Any:
    """Return a value without the part at a location; a step stays, because others may need it."""
    if not location or not isinstance(value, dict | list):
        return value
    first, *rest = location
    if isinstance(value, list):
        # The places of the others stay as they are in the file.
        return [_without(item, tuple(rest)) if index == first else item for index, item in enumerate(value)]
    if first == "steps" and len(rest) == 1 and isinstance(value.get(first), dict):
        return {**value, first: {**value[first], rest[0]: {"command": "true"}}}
    if not rest:
        return {key: item for key, item in value.items() if key != first}
    return {key: _without(item, tuple(rest)) if key == first else item for key, item in value.items()}


def _location(loc: tuple[int | str, ...]) -> Location:
    return tuple(part for part in loc if not (isinstance(part, str) and ("\0" in part or part == "[key]")))


def _described(location: Location, detail: ErrorDetails) -> tuple[Location, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        *around, key = location
        hint = did_you_mean(str(key), _keys_at(tuple(around)), "the keys here are")
        return location, f"unknown key {key!r}; {hint}"
    if kind == "missing":
        *around, key = location
        example = ": `steps: {hello: {command: echo hello}}`" if key == "steps" else ""
        return tuple(around), f"`{key}` is missing; add it{example}"
    if kind in ("value_error", "kind"):
        return location, detail["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        known = _literals(location)
        return location, f"must be {', '.join(known[:-1])} or {known[-1]}; it is {_shown(detail['input'])}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return location, "must be a mapping of keys and values"
    message = re.sub(r"^(Input|Dictionary|List|String) should (be a valid|be|have)", _must, detail["msg"])
    # The value of a variable may be a secret.
    shown = (
        "" if "env" in location or isinstance(detail["input"], dict | list) else f"; it is {_shown(detail['input'])}"
    )
    return location, message + shown


def _must(match: re.Match[str]) -> str:
    return "must be a" if match[2] == "be a valid" else f"must {match[2]}"


def _literals(location: Location) -> tuple[str, ...]:
    return get_args(PlacementName if location[-1] == "placement" else FailureMode)


def _keys_at(location: Location) -> Iterator[str]:
    models: Mapping[Any, type[BaseModel]] = {
        "machine": Resources,
        "retries": Retries,
        "runtime": RuntimeDocument,
        "schedule": ScheduleDocument,
    }
    if len(location) == 2:
        return iter(StepDocument.model_fields)
    return iter(models[location[-1]].model_fields if location else WorkflowDocument.model_fields)
