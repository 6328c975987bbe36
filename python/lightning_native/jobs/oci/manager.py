"""The choice of a handler for a runtime or a job."""

from typing import Any

from lightning_native.jobs.oci.handlers import (
    ContainerHandler,
    GitPythonHandler,
    Handler,
    NotebookHandler,
    PythonHandler,
    PyTorchDistributedHandler,
    ScriptHandler,
)
from lightning_native.jobs.oci.payload import IncompatibleRuntimeError
from lightning_native.jobs.runtimes import Runtime

# The more specific handlers come first, because their jobs also fit later ones.
_HANDLERS: tuple[Handler, ...] = (
    ContainerHandler(),
    PyTorchDistributedHandler(),
    GitPythonHandler(),
    NotebookHandler(),
    PythonHandler(),
    ScriptHandler(),
)


def translate(runtime: Runtime, *, region: str | None = "us-ashburn-1", job_type: str = "DEFAULT") -> dict[str, Any]:
    """Return the payload of an OCI Data Science job.

    Args:
        runtime: the job's runtime.
        region: the region of a published conda environment that names none; None: unknown.
        job_type: the infrastructure's job type.

    Returns:
        `job_configuration_details` with `jobType`, `environment_variables`, `command_line_arguments` and
        `maximum_runtime_in_minutes`; `artifact` as `{class, source}`; `freeform_tags` and `defined_tags`.

    Raises:
        NotImplementedError: there is no handler for exactly this class of runtimes.
        ValueError: a value is missing, or has a wrong form.
        TypeError: a value has a wrong type.
        AttributeError: the region of a conda environment is unknown, or a value is no mapping.
        KeyError: a variable has no name or no value.
        configparser.InterpolationError: a variable cannot be substituted.
    """
    for handler in _HANDLERS:
        if type(runtime) is handler.runtime:
            return handler.translate(runtime.to_spec(), region=region, job_type=job_type)
    raise NotImplementedError(f"{type(runtime).__name__} is not supported as the runtime of an OCI Data Science job")


def extract(
    job: Any,
    *,
    region: str | None = "us-ashburn-1",  # noqa: ARG001  as in `translate`; no job depends on it
) -> Runtime:
    """Return the runtime from which an OCI Data Science job was translated.

    Values without a place in the payload are lost: keys without a variable, the path of Python code, `$$` in variables,
    commas in a container's words, `:` in the Python path, upper case in a conda namespace. A variable of the user with
    the name of a handler's variable counts as the handler's.

    Args:
        job: a payload of `translate`, or an object of the OCI SDK; its artifact may be the name of the uploaded file.
        region: not used.

    Raises:
        KeyError: a published conda environment has no namespace.
        TypeError: the artifact has no source.
        ValueError: the arguments have an open quote, or the count of workers is no number.
    """
    for handler in _HANDLERS:
        try:
            return handler.extract(job)
        except IncompatibleRuntimeError:
            continue
    raise NotImplementedError("the job is of no known kind")
