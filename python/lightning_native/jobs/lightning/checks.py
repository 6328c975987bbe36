"""The conditions for a runtime on Lightning: the types of its values, and its mandatory keys."""

import shlex
from collections.abc import Iterator, Mapping
from configparser import InterpolationError
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from lightning_native.errors import JobError
from lightning_native.jobs.runtimes import (
    ContainerRuntime,
    GitPythonRuntime,
    NotebookRuntime,
    PythonRuntime,
    PyTorchDistributedRuntime,
    Runtime,
    ScriptRuntime,
)
from lightning_native.jobs.variables import environment_variables
from lightning_native.user_input.bounds import LONGEST_SECONDS, problem_of_text
from lightning_native.user_input.url_credentials import has_credentials, refusal

# Variables about several machines, which the platform sets.
_OF_THE_PLATFORM = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NUM_NODES")

_MOST_REPLICAS = 10_000
_MOST_MINUTES = LONGEST_SECONDS / 60


def _absent_if_empty(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return shlex.split(value)
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else value


_Filled = Annotated[str, StringConstraints(min_length=1)]
_Text = Annotated[str | None, BeforeValidator(_absent_if_empty)]
_Words = Annotated[list[str] | None, BeforeValidator(_absent_if_empty)]
_WordsOrText = Annotated[list[str] | str | None, BeforeValidator(_absent_if_empty)]
_Mapping = Annotated[dict[str, Any] | None, BeforeValidator(_absent_if_empty)]
_Replicas = Annotated[int, Field(ge=1, le=_MOST_REPLICAS, strict=True), BeforeValidator(lambda count: count or 1)]


class Checked(BaseModel):
    """The keys of every runtime."""

    args: Annotated[list[str], BeforeValidator(lambda args: _words(args or []))] = []
    freeform_tags: _Mapping = Field(default=None, alias="freeformTags")
    defined_tags: _Mapping = Field(default=None, alias="definedTags")
    minutes: Annotated[float | None, Field(ge=0, le=_MOST_MINUTES, allow_inf_nan=False)] = Field(
        default=None, alias="maximumRuntimeInMinutes"
    )
    conda: _Mapping = None
    output_uri: _Text = Field(default=None, alias="outputUri")


class CheckedScript(Checked):
    """A script."""

    source: _Filled = Field(alias="scriptPathURI")
    entrypoint: _Text = None


class CheckedCode(Checked):
    """A runtime of Python code."""

    entry_function: _Text = Field(default=None, alias="entryFunction")
    python_path: _WordsOrText = Field(default=None, alias="pythonPath")
    working_dir: _Text = Field(default=None, alias="workingDir")
    output_dir: _Text = Field(default=None, alias="outputDir")


class CheckedPython(CheckedScript, CheckedCode):
    """Python code."""


class CheckedNotebook(Checked):
    """A notebook."""

    notebook: _Text = Field(default=None, alias="notebookPathURI")
    source: _Text = None
    entrypoint: _Text = None
    exclude_tags: _WordsOrText = Field(default=None, alias="excludeTags")
    encoding: _Text = Field(default=None, alias="notebookEncoding")


class CheckedGit(CheckedCode):
    """Code of a Git repository."""

    url: _Filled
    entrypoint: _Filled
    branch: _Text = None
    commit: _Text = None
    secret: _Text = Field(default=None, alias="gitSecretId")


class CheckedContainer(Checked):
    """A container."""

    image: _Filled
    entrypoint: _WordsOrText = None
    cmd: _WordsOrText = None
    replicas: _Replicas = 1


class CheckedRepository(BaseModel):
    """The repository of PyTorch code."""

    url: _Filled
    branch: _Text = None
    commit: _Text = None
    secret: _Text = Field(default=None, alias="gitSecretId")


class CheckedPyTorch(CheckedCode):
    """PyTorch on several machines."""

    source: _Text = Field(default=None, alias="scriptPathURI")
    entrypoint: _Text = None
    replicas: _Replicas = 1
    command: _WordsOrText = None
    git: Annotated[CheckedRepository | None, BeforeValidator(_absent_if_empty)] = None
    inputs: Annotated[dict[str, str] | None, BeforeValidator(_absent_if_empty)] = None
    dependencies: _Mapping = None


_MODELS: dict[type[Runtime], type[Checked]] = {
    ScriptRuntime: CheckedScript,
    PythonRuntime: CheckedPython,
    NotebookRuntime: CheckedNotebook,
    GitPythonRuntime: CheckedGit,
    ContainerRuntime: CheckedContainer,
    PyTorchDistributedRuntime: CheckedPyTorch,
}


def check_texts(value: Any, place: str = "") -> None:
    """Refuse a job's description with a text that no machine accepts.

    Raises:
        JobError: there is one; the message names its place.
    """
    if isinstance(value, str):
        problem = problem_of_text(value)
        if problem is not None:
            raise JobError(f"{place} {problem}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_texts(key, f"a key of {place or 'the job'}")
            check_texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_texts(item, f"{place}[{index}]")


def check_credentials(spec: Mapping[str, Any]) -> None:
    """Refuse credentials in the URLs of a runtime, because everybody in the teamspace can read its description.

    Raises:
        JobError: there are some; the message names their place.
    """
    for place, text in _urls(spec):
        if has_credentials(text):
            raise JobError(refusal(f"runtime.spec.{place}", text))


def _urls(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("url", "scriptPathURI", "source", "notebookPathURI", "outputUri"):
        yield from _texts_in(key, spec.get(key))
    for key in ("git", "conda", "dependencies"):
        if isinstance(inner := spec.get(key), Mapping):
            for name, value in inner.items():
                yield from _texts_in(f"{key}.{name}", value)
    if isinstance(inputs := spec.get("inputs"), Mapping):
        for uri in inputs:
            yield from _texts_in("inputs", uri)


def _texts_in(place: str, value: Any) -> Iterator[tuple[str, str]]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, str):
            yield place, item


def check_runtime(runtime: Runtime) -> Checked:
    """Return a runtime's keys with their types.

    Raises:
        JobError: it is of a kind that cannot run, lacks a key, or has a value of a wrong type.
    """
    model = _MODELS.get(type(runtime))
    if model is None:
        known = ", ".join(each.kind for each in _MODELS)
        raise JobError(f"a runtime of type {runtime.kind!r} cannot run on Lightning; the types are: {known}")
    try:
        checked = model.model_validate({key: value for key, value in runtime.to_spec().items() if value is not None})
    except ValidationError as error:
        problems = [f"runtime.spec.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise JobError("\n".join(problems)) from error
    if isinstance(checked, CheckedNotebook) and not (checked.notebook or (checked.source and checked.entrypoint)):
        raise JobError("there is no notebook; name it as notebookPathURI, or as entrypoint of a source")
    if isinstance(checked, CheckedPyTorch):
        if not checked.command and not checked.entrypoint and not checked.source:
            raise JobError("there is nothing to launch; name a command, or an entrypoint of the code")
        if not checked.git and not checked.source:
            raise JobError("there is no code; name it as scriptPathURI, or as git: {url}")
    return checked


def check_environment(variables: Any) -> dict[str, str]:
    """Return a runtime's variables, substituted.

    Raises:
        JobError: one of them cannot be set.
    """
    try:
        environment = environment_variables(variables or [])
    except (KeyError, TypeError, AttributeError) as error:
        raise JobError(f"runtime.spec.env is a list of {{name, value}}: {error}") from error
    except InterpolationError as error:
        raise JobError(f"runtime.spec.env: {error.message}") from error
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in f"{name}{value}":
            raise JobError(f"runtime.spec.env: {name!r} is no variable; take letters, digits and _, without NUL")
        if name in _OF_THE_PLATFORM or name.startswith("LIGHTNING_NATIVE_"):
            raise JobError(f"runtime.spec.env: {name} is set by the platform or by us; take another name")
    return environment


def text_mapping(value: Mapping[str, Any] | None) -> dict[str, str]:
    """Return a mapping with its values as text."""
    return {str(name): str(item) for name, item in (value or {}).items()}
