"""Handlers, one a kind of runtime: to a job's variables and artifact, and back from them."""

import json
import os
import shlex
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from lightning_native.jobs.oci.conda import extract_conda, translate_conda
from lightning_native.jobs.oci.payload import (
    IncompatibleRuntimeError,
    Specification,
    Variables,
    artifact,
    artifact_name,
    specification_of,
    value_at,
    variables_of,
)
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

_JOB_ENTRYPOINT = "JOB_RUN_ENTRYPOINT"
_PATH_DELIMITER = ":"
_ARGUMENTS = "job_configuration_details.command_line_arguments"
_VARIABLES = "job_configuration_details.environment_variables"
_MINUTES = "job_configuration_details.maximum_runtime_in_minutes"


class Handler(ABC):
    """A translator of one kind of runtime, which also extracts it from a job."""

    runtime: ClassVar[type[Runtime]]

    def translate(self, specification: Specification, *, region: str | None, job_type: str) -> dict[str, Any]:
        """Return a job's payload."""
        # The order decides which of several errors is raised.
        payload: dict[str, Any] = {"artifact": self._artifact(specification)}
        configuration: dict[str, Any] = {"jobType": job_type}
        if specification.get("maximumRuntimeInMinutes"):
            configuration["maximum_runtime_in_minutes"] = specification["maximumRuntimeInMinutes"]
        configuration["environment_variables"] = self._variables(specification, region)
        if specification.get("args"):
            # As in ADS, a text counts as a list of its letters.
            configuration["command_line_arguments"] = " ".join(shlex.quote(str(arg)) for arg in specification["args"])
        payload["job_configuration_details"] = configuration
        for key, name in (("freeformTags", "freeform_tags"), ("definedTags", "defined_tags")):
            if specification.get(key):
                payload[name] = specification[key]
        return payload

    @abstractmethod
    def _artifact(self, specification: Specification) -> dict[str, Any]:
        """Return the file that is uploaded."""

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        """Return the variables; the handler's come after the user's and replace them."""
        del region
        given = specification.get("env")
        return environment_variables(given) if given else {}

    def extract(self, job: Any) -> Runtime:
        """Return the runtime from which a job was translated.

        Raises:
            IncompatibleRuntimeError: it is of another kind.
        """
        specification: Specification = {}
        for key, name in (("freeformTags", "freeform_tags"), ("definedTags", "defined_tags")):
            if tags := value_at(job, name):
                specification[key] = tags
        if arguments := value_at(job, _ARGUMENTS):
            specification["args"] = shlex.split(arguments)
        variables = value_at(job, _VARIABLES) or {}
        specification |= self._take(variables)
        specification |= self._source(value_at(job, "artifact"))
        if minutes := value_at(job, _MINUTES):
            specification["maximumRuntimeInMinutes"] = minutes
        return self.runtime.from_spec({**specification, "env": variables})

    @abstractmethod
    def _take(self, variables: Variables) -> Specification:
        """Remove the variables that the handler knows, and return their keys; the rest are the user's."""

    def _source(self, artifact: Any) -> Specification:
        """Return the keys of the runtime that the artifact has."""
        del artifact
        return {}


class _CondaHandler(Handler):
    def _variables(self, specification: Specification, region: str | None) -> Variables:
        variables = super()._variables(specification, region)
        return variables | translate_conda(specification.get("conda"), region)

    def _take(self, variables: Variables) -> Specification:
        conda = extract_conda(variables)
        return {"conda": conda} if conda else {}


class ScriptHandler(_CondaHandler):
    """The handler of scripts, and of every job that no other handler knows."""

    runtime = ScriptRuntime

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        return artifact("ScriptArtifact", specification.get("scriptPathURI"))

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        variables = super()._variables(specification, region)
        if specification.get("entrypoint"):
            variables[_JOB_ENTRYPOINT] = specification["entrypoint"]
        return variables

    def _take(self, variables: Variables) -> Specification:
        return super()._take(variables) | specification_of(variables, {"entrypoint": _JOB_ENTRYPOINT})

    def _source(self, artifact: Any) -> Specification:
        return {"scriptPathURI": artifact_name(artifact)}


class PythonHandler(_CondaHandler):
    """Python code, run by the driver of ADS."""

    runtime = PythonRuntime
    _ENTRYPOINT = "CODE_ENTRYPOINT"
    _DRIVER = "driver_python.py"
    _NAMES: ClassVar[dict[str, str]] = {
        "entrypoint": _ENTRYPOINT,
        "entryFunction": "ENTRY_FUNCTION",
        "pythonPath": "PYTHON_PATH",
        "outputDir": "OUTPUT_DIR",
        "outputUri": "OUTPUT_URI",
        "workingDir": "WORKING_DIR",
        # Meant for PyTorch only, but in ADS both handlers share one mapping, and a list is joined as paths are.
        "command": "OCI__LAUNCH_CMD",
    }

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        return artifact("PythonArtifact", specification.get("scriptPathURI"))

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        variables = super()._variables(specification, region)
        variables |= variables_of(specification, self._NAMES, _PATH_DELIMITER)
        if specification.get("entrypoint"):
            variables[self._ENTRYPOINT] = specification["entrypoint"]
        elif specification.get("scriptPathURI"):
            variables[self._ENTRYPOINT] = os.path.basename(specification["scriptPathURI"])
        variables[_JOB_ENTRYPOINT] = self._DRIVER
        return variables

    def _take(self, variables: Variables) -> Specification:
        specification = super()._take(variables)
        self._check(variables)
        # Dropped, whatever its value.
        variables.pop(_JOB_ENTRYPOINT, None)
        specification |= specification_of(variables, self._NAMES)
        if "pythonPath" in specification:
            specification["pythonPath"] = specification["pythonPath"].split(_PATH_DELIMITER)
        return specification

    def _check(self, variables: Variables) -> None:
        if self._ENTRYPOINT not in variables:
            raise IncompatibleRuntimeError

    def _source(self, artifact: Any) -> Specification:
        # Only the last suffix goes: `my.app.tar.gz` becomes `my.app.tar`.
        return {"scriptPathURI": os.path.splitext(artifact_name(artifact))[0]}


class NotebookHandler(_CondaHandler):
    """A notebook, run by the driver of ADS."""

    runtime = NotebookRuntime
    _NOTEBOOK = "JOB_RUN_NOTEBOOK"
    _EXCLUDE_TAGS = "NOTEBOOK_EXCLUDE_TAGS"
    _NAMES: ClassVar[dict[str, str]] = {"outputUri": "OUTPUT_URI", "notebookEncoding": "NOTEBOOK_ENCODING"}

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        return artifact("NotebookArtifact", specification.get("source") or specification.get("notebookPathURI"))

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        variables = super()._variables(specification, region)
        if specification.get("entrypoint"):
            source: Any = specification.get("source")
            variables[self._NOTEBOOK] = os.path.join(os.path.basename(source), specification["entrypoint"])
        elif specification.get("notebookPathURI"):
            variables[self._NOTEBOOK] = os.path.basename(specification["notebookPathURI"])
        else:
            raise ValueError("there is no notebook; name it as notebookPathURI, or as entrypoint of a source")
        variables[_JOB_ENTRYPOINT] = "driver_notebook.py"
        variables |= {name: specification[key] for key, name in self._NAMES.items() if specification.get(key)}
        if specification.get("excludeTags"):
            variables[self._EXCLUDE_TAGS] = json.dumps(specification["excludeTags"])
        return variables

    def _take(self, variables: Variables) -> Specification:
        specification = super()._take(variables)
        if self._NOTEBOOK not in variables or _JOB_ENTRYPOINT not in variables:
            raise IncompatibleRuntimeError
        variables.pop(_JOB_ENTRYPOINT)
        if tags := variables.pop(self._EXCLUDE_TAGS, None):
            specification["excludeTags"] = _json_or_text(tags)
        notebook = variables.pop(self._NOTEBOOK)
        if "/" in notebook:
            specification["source"], specification["entrypoint"] = str(notebook).split("/", 1)
        else:
            specification["notebookPathURI"] = notebook
        return specification | specification_of(variables, self._NAMES)


class GitPythonHandler(_CondaHandler):
    """Python code of a Git repository, cloned by the driver of ADS."""

    runtime = GitPythonRuntime
    _SKIP_METADATA = "SKIP_METADATA_UPDATE"
    _NAMES: ClassVar[dict[str, str]] = {
        "url": "GIT_URL",
        "branch": "GIT_BRANCH",
        "commit": "GIT_COMMIT",
        "entrypoint": "GIT_ENTRYPOINT",
        "entryFunction": "ENTRY_FUNCTION",
        "pythonPath": "PYTHON_PATH",
        "gitSecretId": "GIT_SECRET_OCID",
        "outputDir": "OUTPUT_DIR",
        "outputUri": "OUTPUT_URI",
        "workingDir": "WORKING_DIR",
    }

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        del specification
        return artifact("GitPythonArtifact", "")

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        if not specification.get("conda"):
            raise ValueError("a gitPython runtime needs a conda environment; name it as conda: {type: service, slug}")
        variables = super()._variables(specification, region)
        variables |= variables_of(specification, self._NAMES, _PATH_DELIMITER)
        if specification.get("skipMetadataUpdate"):
            variables[self._SKIP_METADATA] = "1"
        variables[_JOB_ENTRYPOINT] = "driver_oci.py"
        return variables

    def _take(self, variables: Variables) -> Specification:
        specification = super()._take(variables)
        if "GIT_URL" not in variables or "GIT_ENTRYPOINT" not in variables:
            raise IncompatibleRuntimeError
        variables.pop(_JOB_ENTRYPOINT, None)
        specification |= specification_of(variables, self._NAMES)
        if "pythonPath" in specification:
            specification["pythonPath"] = specification["pythonPath"].split(_PATH_DELIMITER)
        if self._SKIP_METADATA in variables:
            # Any value counts as true, even "0".
            del variables[self._SKIP_METADATA]
            specification["skipMetadataUpdate"] = True
        return specification


class ContainerHandler(Handler):
    """A container, which ADS describes in environment variables. It has no conda environment."""

    runtime = ContainerRuntime
    _IMAGE = "CONTAINER_CUSTOM_IMAGE"
    _DELIMITER = ","
    _NAMES: ClassVar[dict[str, str]] = {
        "image": _IMAGE,
        "entrypoint": "CONTAINER_ENTRYPOINT",
        "cmd": "CONTAINER_CMD",
    }

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        del specification
        # A job must have an artifact, so ADS uploads this file.
        return {"class": "str", "source": "container.py"}

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        if not specification.get("image"):
            raise ValueError("a container runtime needs an image; name it as image")
        variables = super()._variables(specification, region)
        return variables | variables_of(specification, self._NAMES, self._DELIMITER)

    def _take(self, variables: Variables) -> Specification:
        if self._IMAGE not in variables:
            raise IncompatibleRuntimeError
        specification = {"image": variables.pop(self._IMAGE)}
        for key in ("cmd", "entrypoint"):
            if text := variables.pop(self._NAMES[key], ""):
                # Commas within a word have become delimiters.
                specification[key] = [word.strip() for word in text.split(self._DELIMITER)]
        return specification


class PyTorchDistributedHandler(PythonHandler):
    """PyTorch on several machines, launched by the driver of ADS."""

    runtime = PyTorchDistributedRuntime
    _DRIVER = "driver_pytorch.py"
    _WORKERS = "OCI__WORKER_COUNT"
    _INPUTS = "OCI__INPUT_MAPPINGS"
    _DEEPSPEED = "OCI__DEEPSPEED"
    _GIT_URL = "OCI__RUNTIME_URI"
    _GIT_NAMES: ClassVar[dict[str, str]] = {
        "url": _GIT_URL,
        "branch": "OCI__RUNTIME_GIT_BRANCH",
        "commit": "OCI__RUNTIME_GIT_COMMIT",
        "gitSecretId": "OCI__RUNTIME_GIT_SECRET_ID",
    }
    _DEPENDENCY_NAMES: ClassVar[dict[str, str]] = {
        "pipPackages": "OCI__PIP_PKG",
        "pipRequirements": "OCI__PIP_REQUIREMENTS",
    }

    def _artifact(self, specification: Specification) -> dict[str, Any]:
        return artifact("PyTorchDistributedArtifact", specification.get("scriptPathURI") or "")

    def _variables(self, specification: Specification, region: str | None) -> Variables:
        variables = super()._variables(specification, region)
        # One machine is not a worker.
        variables[self._WORKERS] = str((specification.get("replicas") or 1) - 1)
        if specification.get("inputs"):
            variables[self._INPUTS] = json.dumps(specification["inputs"])
        if git := specification.get("git"):
            variables |= {name: git[key] for key, name in self._GIT_NAMES.items() if git.get(key)}
        if dependencies := specification.get("dependencies"):
            variables |= {
                name: dependencies[key] for key, name in self._DEPENDENCY_NAMES.items() if key in dependencies
            }
        if specification.get("deepspeed"):
            variables[self._DEEPSPEED] = "1"
        return variables

    def _check(self, variables: Variables) -> None:
        """Accept everything for now, because PyTorch, unlike Python code, needs no entrypoint."""

    def _take(self, variables: Variables) -> Specification:
        specification = super()._take(variables)
        if self._WORKERS not in variables:
            raise IncompatibleRuntimeError
        specification["replicas"] = int(variables.pop(self._WORKERS)) + 1
        if self._GIT_URL in variables:
            specification["git"] = {
                key: variables.pop(name) for key, name in self._GIT_NAMES.items() if name in variables
            }
        if inputs := variables.pop(self._INPUTS, None):
            specification["inputs"] = _json_or_text(inputs)
        dependencies = {key: variables.pop(name) for key, name in self._DEPENDENCY_NAMES.items() if name in variables}
        if dependencies:
            specification["dependencies"] = dependencies
        if variables.pop(self._DEEPSPEED, None):
            specification["deepspeed"] = True
        return specification


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
