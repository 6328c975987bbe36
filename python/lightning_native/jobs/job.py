"""A job as its YAML describes it: a name, a runtime, and the infrastructure on which it runs."""

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field

from lightning_native.errors import JobError
from lightning_native.jobs.infrastructure import Infrastructure, infrastructure_from_spec
from lightning_native.jobs.runtimes import Runtime, runtime_from_spec
from lightning_native.jobs.yaml_text import read_job_yaml
from lightning_native.user_input.user_files import read_user_text

# PyYAML reads about 100 KB a second.
_MOST_BYTES = 1 << 20
# The runtimes of whole jobs; `conda` is a base of others.
_RUNTIMES = ("python", "gitPython", "container", "script", "notebook", "pyTorchDistributed", "dataFlow")


class Job(BaseModel):
    """A job.

    Attributes:
        name: the name as written; ADS invents one if None.
        infrastructure: the infrastructure on which it runs.
        runtime: the runtime that it runs.
        beside_spec: the other keys beside `spec`.
        in_spec: the other keys in `spec`.
    """

    name: Any = None
    infrastructure: Infrastructure | None = None
    runtime: Runtime | None = None
    beside_spec: dict[str, Any] = Field(default_factory=dict)
    in_spec: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def from_dict(cls, document: Any) -> "Job":
        """Return the job that a document describes.

        Raises:
            ValueError: the document is no mapping.
            AttributeError: it has no `spec`, or a value that should be a mapping is none.
            NotImplementedError: the type of its runtime or infrastructure is missing or not known.
        """
        if not isinstance(document, Mapping):
            raise ValueError(f"a job is a mapping with kind: job and a spec, not a {type(document).__name__}")
        spec = _mapping("spec", document.get("spec"))
        fields: dict[str, Any] = {}
        for key, value in spec.items():
            if key == "infrastructure":
                infrastructure = _mapping("spec.infrastructure", value)
                fields[key] = infrastructure_from_spec(infrastructure.get("type"), infrastructure.get("spec"))
            elif key == "runtime":
                runtime = _mapping("spec.runtime", value)
                if runtime.get("type") not in _RUNTIMES:
                    known = ", ".join(_RUNTIMES)
                    raise NotImplementedError(f"runtime type {runtime.get('type')!r} is not one of: {known}")
                fields[key] = runtime_from_spec(runtime["type"], runtime.get("spec"))
        return cls(
            name=spec.get("name"),
            beside_spec={key: value for key, value in document.items() if key not in ("kind", "spec")},
            in_spec={key: value for key, value in spec.items() if key not in ("name", *fields)},
            **fields,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the document that describes the job."""
        spec = {"name": self.name} if self.name is not None else {}
        if self.infrastructure is not None:
            spec["infrastructure"] = self.infrastructure.to_dict()
        if self.runtime is not None:
            spec["runtime"] = self.runtime.to_dict()
        return {"kind": "job", **deepcopy(self.beside_spec), "spec": {**spec, **deepcopy(self.in_spec)}}

    def to_yaml(self) -> str:
        """Return the YAML that describes the job, as ADS reads it."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def _mapping(what: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    found = "there is none" if value is None else f"it is {value!r}"
    raise AttributeError(f"{what} of a job is a mapping, but {found}")


def load_job(text_or_path: str | Path) -> Job:
    """Read a job: YAML (or JSON) text, or the path of a file with it.

    Raises:
        JobError: the file cannot be read, or its values become too many or too deep.
        yaml.YAMLError: the text is not YAML.
        ValueError: the document is no mapping.
        AttributeError: it has no `spec`, or a value that should be a mapping is none.
        NotImplementedError: the type of its runtime or infrastructure is missing or not known.
    """
    text = str(text_or_path)
    place = ""
    if isinstance(text_or_path, Path) or _names_a_file(text):
        place = f"{text}: "
        try:
            text = read_user_text(Path(text_or_path), most=_MOST_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
            raise JobError(f"the job {text_or_path} cannot be read: {reason}; name a YAML file") from error
    elif len(text) > _MOST_BYTES:
        raise JobError(f"the job has more than {_MOST_BYTES >> 20} MiB")
    try:
        document = read_job_yaml(text)
    except JobError as error:
        raise JobError(f"{place}{error}") from error
    return Job.from_dict(document)


def _names_a_file(text: str) -> bool:
    if "\n" in text or ": " in text:
        return False
    # `os.path` returns False where `pathlib` raises.
    if text.endswith((".yaml", ".yml", ".json")):
        return True
    # Also true for a folder or a device, so that the error names its kind.
    return os.path.exists(text)  # noqa: PTH110  see above
