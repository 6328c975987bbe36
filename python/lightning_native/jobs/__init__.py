"""Jobs, described once and translated to and from the services that run them: Lightning and OCI Data Science.

`load_job` reads the YAML of Oracle ADS. The dialects `oci` and `lightning` translate a runtime to a job of their
service, and extract it from there again.
"""

from lightning_native.jobs import lightning, oci
from lightning_native.jobs.infrastructure import DataScienceJob, Infrastructure, Lightning, infrastructure_from_spec
from lightning_native.jobs.job import Job, load_job
from lightning_native.jobs.runtimes import (
    CondaRuntime,
    ContainerRuntime,
    GitPythonRuntime,
    NotebookRuntime,
    PythonRuntime,
    PyTorchDistributedRuntime,
    Runtime,
    ScriptRuntime,
    runtime_from_spec,
)
from lightning_native.jobs.step import run_runtime

__all__ = [
    "CondaRuntime",
    "ContainerRuntime",
    "DataScienceJob",
    "GitPythonRuntime",
    "Infrastructure",
    "Job",
    "Lightning",
    "NotebookRuntime",
    "PyTorchDistributedRuntime",
    "PythonRuntime",
    "Runtime",
    "ScriptRuntime",
    "infrastructure_from_spec",
    "lightning",
    "load_job",
    "oci",
    "run_runtime",
    "runtime_from_spec",
]
