"""The description of a job that travels with it: its YAML as JSON, in one environment variable."""

import json
from datetime import date
from typing import Any

from lightning_native.errors import JobError
from lightning_native.jobs.job import Job

VARIABLE = "LIGHTNING_NATIVE_JOB"
# Linux takes no longer text as one variable.
_MOST_BYTES = 128 * 1024 - len(VARIABLE) - 2


def describe(job: Job) -> str:
    """Return a job as JSON text.

    Raises:
        JobError: a value cannot be kept in JSON, or there is too much of it.
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
    """Return the job that a text of `describe` stands for.

    Raises:
        JobError: it does not.
    """
    try:
        return Job.from_dict(json.loads(text))
    except (ValueError, AttributeError, NotImplementedError, RecursionError) as error:
        raise JobError(f"the description in the job's {VARIABLE} cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """Return a value with what only YAML and Python have as what they are in JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, date) else value
