"""The description of a job that travels with it: its YAML as JSON, in one variable."""

import json
from datetime import date
from typing import Any

from lightning_native.errors import JobError
from lightning_native.jobs.job import Job

VARIABLE = "LIGHTNING_NATIVE_JOB"
# Linux's limit for one variable.
_MOST_BYTES = 128 * 1024 - len(VARIABLE) - 2


def describe(job: Job) -> str:
    """Return a job as JSON text.

    Raises:
        JobError: a value has no form in JSON, or the text is too long.
    """
    document = _plain(job.to_dict())
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise JobError(f"the job holds a value that is neither text, number, list nor mapping ({error})") from error
    if json.loads(text) != document:
        raise JobError("the job has a key that is no text; put it in quotes")
    if len(text) > _MOST_BYTES:
        raise JobError(f"the description of the job has {len(text)} bytes, more than {_MOST_BYTES}; shorten it")
    return text


def read_description(text: str) -> Job:
    """Return the job of a text that `describe` returned.

    Raises:
        JobError: it describes no job.
    """
    try:
        return Job.from_dict(json.loads(text))
    except (ValueError, AttributeError, NotImplementedError, RecursionError) as error:
        raise JobError(f"the description in the job's {VARIABLE} cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """Return a value with the types of JSON instead of those that only YAML and Python have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, date) else value
