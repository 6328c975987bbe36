"""The parts of a job's payload: artifacts, variables from specification keys, and values at a path."""

import os
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlparse

Specification = dict[str, Any]
Variables = dict[str, Any]


class IncompatibleRuntimeError(Exception):
    """A job is not of the kind that a handler extracts."""


def artifact(kind: str, source: Any) -> dict[str, Any]:
    """Return an artifact; the source of a local one is an absolute path."""
    if source and not urlparse(source).scheme:
        source = os.path.abspath(os.path.expanduser(source))
    return {"class": kind, "source": source}


def artifact_name(value: Any) -> str:
    """Return the text that is the name of a job's artifact for ADS.

    Raises:
        TypeError: it is an artifact without a source.
    """
    if isinstance(value, Mapping):
        source = value.get("source")
        if not isinstance(source, str):
            raise TypeError(f"the job's artifact has no source: {dict(value)!r}")
        return source
    return str(value)


def value_at(job: Any, path: str) -> Any:
    """Return a copy of the value at a dotted path of mappings or objects; None if there is none."""
    for name in path.split("."):
        if hasattr(job, name):
            job = getattr(job, name)
        elif hasattr(job, "get"):
            job = job.get(name)
        else:
            return None
    return deepcopy(job)


def variables_of(specification: Specification, names: Mapping[str, str], delimiter: str) -> Variables:
    """Return the variables for specification keys with a value; a list is joined with the delimiter."""
    variables = {}
    for key, name in names.items():
        value = specification.get(key)
        if value:
            variables[name] = delimiter.join(value) if isinstance(value, (list, tuple)) else value
    return variables


def specification_of(variables: Variables, names: Mapping[str, str]) -> Specification:
    """Remove the variables of specification keys, and return the keys that have a value."""
    taken = {key: variables.pop(name, None) for key, name in names.items()}
    return {key: value for key, value in taken.items() if value}
