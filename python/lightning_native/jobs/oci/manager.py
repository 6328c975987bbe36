"""Which handler a runtime or a job is for."""

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

# The more particular first: jobs of one kind may look like those of a later one.
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
        runtime: what the job runs.
        region: of a published conda environment that names none; None: not known.
        job_type: of the infrastructure.

    Returns:
        `job_configuration_details` with `jobType`, `environment_variables`, `command_line_arguments` and
        `maximum_runtime_in_minutes`; `artifact` as `{class, source}`; `freeform_tags` and `defined_tags`.

    Raises:
        NotImplementedError: there is no handler for exactly this class of runtimes.
        ValueError: something is missing, or is not of the form it must have.
        TypeError: a value is not of the type it must have.
        AttributeError: the region of a conda environment is not known, or a value is no mapping.
        KeyError: an environment variable has no name or no value.
        configparser.InterpolationError: an environment variable cannot be substituted.
    """
    for handler in _HANDLERS:
        if type(runtime) is handler.runtime:
            return handler.translate(runtime.to_spec(), region=region, job_type=job_type)
    raise NotImplementedError(f"{type(runtime).__name__} is not supported as the runtime of an OCI Data Science job")


def extract(
    job: Any,
    *,
    region: str | None = "us-ashburn-1",  # noqa: ARG001  given to both ways alike; nothing of a job depends on it
) -> Runtime:
    """Return the runtime that an OCI Data Science job was made of.

    What the payload has no place for is lost: keys without a variable, the path of Python code, `$$` in the
    environment, commas in a container's words, `:` in the Python path, upper case in a conda namespace. Environment
    variables of the user that are named like those of a handler are taken for them.

    Args:
        job: what `translate` returns, or an object of the OCI SDK; its artifact may be the name of the uploaded file.
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
