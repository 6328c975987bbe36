"""Runtimes, which jobs run: a script, Python code, a notebook, a Git repository, a container, PyTorch on many machines.

A runtime keeps its specification as written, whatever the types of its values, with unknown keys: the checks are in the
dialects (`oci`, `lightning`), because each service accepts other values.
The keys are those of the YAML form, such as `scriptPathURI`; each has its Python name as well, `script_path_uri`.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from lightning_native.jobs.specification import Specification

RuntimeType = TypeVar("RuntimeType", bound="Runtime")
PythonRuntimeType = TypeVar("PythonRuntimeType", bound="_PythonCode")
CondaRuntimeType = TypeVar("CondaRuntimeType", bound="CondaRuntime")
ScriptRuntimeType = TypeVar("ScriptRuntimeType", bound="ScriptRuntime")
SeveralMachinesType = TypeVar("SeveralMachinesType", bound="_SeveralMachines")


class Runtime(Specification):
    """A runtime of any kind.

    Attributes:
        args: command line arguments, a list.
        env: variables, a list of `{name, value}` or a mapping; `${NAME}` in a value is another one of them, `$$` a
            dollar.
        freeform_tags: tags, `{name: value}`.
        defined_tags: tags, `{namespace: {name: value}}`.
        maximum_runtime_in_minutes: the job's time limit.
    """

    kind: ClassVar[str] = ""
    _only_in_yaml: ClassVar[frozenset[str]] = frozenset({"maximum_runtime_in_minutes"})

    args: Any = None
    # Its values may be secret.
    env: Any = Field(default=None, repr=False)
    freeform_tags: Any = Field(default=None, alias="freeformTags")
    defined_tags: Any = Field(default=None, alias="definedTags")
    maximum_runtime_in_minutes: Any = Field(default=None, alias="maximumRuntimeInMinutes")

    @classmethod
    def _standard(cls, spec: Mapping[str, Any]) -> dict[str, Any]:
        standard = super()._standard(spec)
        if isinstance(standard.get("env"), Mapping):
            variables = standard.pop("env")
            if variables:
                standard["env"] = [{"name": name, "value": value} for name, value in variables.items()]
        return standard

    def to_dict(self) -> dict[str, Any]:
        """Return the runtime as a job's YAML has it."""
        return {"kind": "runtime", "type": self.kind, "spec": self.to_spec()}

    def with_argument(self: RuntimeType, *args: object, **options: object) -> RuntimeType:
        """Add arguments: the words, then `--name value` for each option, `--name` alone where the value is None.

        Raises:
            ValueError: the name of an option has a blank.
        """
        words = [str(word) for word in args]
        for name, value in options.items():
            if " " in name:
                raise ValueError(f"the option {name!r} has a blank in its name; remove it")
            words += [f"--{name}"] if value is None else [f"--{name}", str(value)]
        return self._set(args=[*(self.args or []), *words])

    def with_environment_variable(self: RuntimeType, **variables: object) -> RuntimeType:
        """Set variables; those set before stay."""
        others = [variable for variable in self.env or [] if variable["name"] not in variables]
        return self._set(env=[*others, *({"name": name, "value": value} for name, value in variables.items())])

    def with_freeform_tag(self: RuntimeType, **tags: object) -> RuntimeType:
        """Set tags; those set before stay."""
        return self._set(freeform_tags={**(self.freeform_tags or {}), **tags})

    def with_defined_tag(self: RuntimeType, **tags: object) -> RuntimeType:
        """Set tags, each a mapping of its namespace; those set before stay."""
        return self._set(defined_tags={**(self.defined_tags or {}), **tags})

    def with_maximum_runtime_in_minutes(self: RuntimeType, minutes: int) -> RuntimeType:
        """Set the job's time limit in minutes."""
        return self._set(maximum_runtime_in_minutes=minutes)


class CondaRuntime(Runtime):
    """A runtime with a conda environment; the base of others, which does not run itself.

    Attributes:
        conda: `{type: service, slug}` or `{type: published, uri, region}`.
    """

    kind: ClassVar[str] = "conda"

    conda: Any = None

    def with_service_conda(self: CondaRuntimeType, slug: str) -> CondaRuntimeType:
        """Set a conda environment of the service."""
        return self._set(conda={"type": "service", "slug": slug})

    def with_custom_conda(self: CondaRuntimeType, uri: str, region: str | None = None) -> CondaRuntimeType:
        """Set a published conda environment, such as `oci://bucket@namespace/name`."""
        return self._set(conda={"type": "published", "uri": uri, **({"region": region} if region else {})})


class DataFlowRuntime(CondaRuntime):
    """A Spark application, which no dialect here can run."""

    kind: ClassVar[str] = "dataFlow"


class ScriptRuntime(CondaRuntime):
    """A script, or a folder or archive with one.

    Attributes:
        script_path_uri: path or URI of the file, folder or archive.
        entrypoint: the script in the folder or archive.
    """

    kind: ClassVar[str] = "script"

    script_path_uri: Any = Field(default=None, alias="scriptPathURI")
    entrypoint: Any = None

    def with_script(self: ScriptRuntimeType, uri: str) -> ScriptRuntimeType:
        """Set the path or URI of the code."""
        return self._set(script_path_uri=uri)

    def with_source(self: ScriptRuntimeType, uri: str, entrypoint: str | None = None) -> ScriptRuntimeType:
        """Set the path or URI of the code, and the script in it."""
        if entrypoint is not None:
            self._set(entrypoint=entrypoint)
        return self.with_script(uri)

    def with_entrypoint(self: ScriptRuntimeType, path: str) -> ScriptRuntimeType:
        """Set the script in the folder or archive."""
        return self._set(entrypoint=path)


class _PythonCode(CondaRuntime):
    """A runtime that runs Python code.

    Attributes:
        entrypoint: the script to run.
        entry_function: a function of the script to call with the arguments, instead of running it.
        python_path: folders to import from, relative to the working folder; a list.
        working_dir: the working folder, relative to the folder with the code.
        output_dir: the folder that is copied to `output_uri` at the end, relative to the working folder.
        output_uri: the destination of the output.
    """

    entrypoint: Any = None
    entry_function: Any = Field(default=None, alias="entryFunction")
    python_path: Any = Field(default=None, alias="pythonPath")
    working_dir: Any = Field(default=None, alias="workingDir")
    output_dir: Any = Field(default=None, alias="outputDir")
    output_uri: Any = Field(default=None, alias="outputUri")

    def with_entrypoint(self: PythonRuntimeType, path: str, function: str | None = None) -> PythonRuntimeType:
        """Set the script to run, or its function to call."""
        self._set(entrypoint=path)
        return self if function is None else self._set(entry_function=function)

    def with_python_path(self: PythonRuntimeType, *folders: str) -> PythonRuntimeType:
        """Set the folders to import from, relative to the working folder.

        Raises:
            ValueError: one is absolute.
        """
        for folder in folders:
            if PurePath(folder).is_absolute():
                raise ValueError(f"{folder} is an absolute path; name it relative to the working folder")
        return self._set(python_path=list(folders))

    def with_working_dir(self: PythonRuntimeType, folder: str) -> PythonRuntimeType:
        """Set the working folder, relative to the folder with the code."""
        return self._set(working_dir=folder)

    def with_output(self: PythonRuntimeType, output_dir: str, output_uri: str) -> PythonRuntimeType:
        """Set the folder that is copied at the end, and its destination."""
        return self._set(output_dir=output_dir, output_uri=output_uri)


class PythonRuntime(_PythonCode, ScriptRuntime):
    """Python code: a script or a function of a file, a folder or an archive."""

    kind: ClassVar[str] = "python"


class NotebookRuntime(CondaRuntime):
    """A Jupyter notebook, alone or in a folder with other files.

    Attributes:
        notebook_path_uri: path or URI of a notebook that needs no other files.
        source: path or URI of the folder or archive with the notebook.
        entrypoint: the notebook in it.
        exclude_tags: cells with one of these tags do not run; a list.
        notebook_encoding: the file's encoding.
        output_uri: the destination of the notebook with its results.
    """

    kind: ClassVar[str] = "notebook"
    _aliases: ClassVar[dict[str, str]] = {"outputURI": "outputUri"}

    notebook_path_uri: Any = Field(default=None, alias="notebookPathURI")
    source: Any = None
    entrypoint: Any = None
    exclude_tags: Any = Field(default=None, alias="excludeTags")
    notebook_encoding: Any = Field(default=None, alias="notebookEncoding")
    output_uri: Any = Field(default=None, alias="outputUri")

    def with_notebook(self, path: str, encoding: str = "utf-8") -> "NotebookRuntime":
        """Set a notebook that needs no other files."""
        return self._set(notebook_path_uri=path, notebook_encoding=encoding)

    def with_source(self, uri: str, notebook: str, encoding: str = "utf-8") -> "NotebookRuntime":
        """Set the folder or archive, and the notebook in it."""
        return self._set(source=uri, entrypoint=notebook, notebook_encoding=encoding)

    def with_exclude_tag(self, *tags: str) -> "NotebookRuntime":
        """Leave out the cells with one of these tags."""
        return self._set(exclude_tags=list(tags))

    def with_output(self, output_uri: str) -> "NotebookRuntime":
        """Set the destination of the notebook with its results."""
        return self._set(output_uri=output_uri)


class GitPythonRuntime(_PythonCode):
    """Python code of a Git repository.

    Attributes:
        url: the repository's URL.
        branch: the branch to check out; the default branch if None.
        commit: the commit to check out; it goes before the branch.
        git_secret_id: the identifier of the secret with the SSH key.
        skip_metadata_update: whether the run is not tagged with the commit (OCI only).
    """

    kind: ClassVar[str] = "gitPython"

    url: Any = None
    branch: Any = None
    commit: Any = None
    git_secret_id: Any = Field(default=None, alias="gitSecretId")
    skip_metadata_update: Any = Field(default=None, alias="skipMetadataUpdate")

    def with_source(
        self, url: str, branch: str | None = None, commit: str | None = None, secret_ocid: str | None = None
    ) -> "GitPythonRuntime":
        """Set the repository, its branch or commit, and the secret with the SSH key."""
        given = {"url": url, "branch": branch, "commit": commit, "git_secret_id": secret_ocid}
        return self._set(**{name: value for name, value in given.items() if value is not None})


class _SeveralMachines(Runtime):
    """A runtime on several machines.

    Attributes:
        replicas: the number of machines.
    """

    replicas: Any = None

    def with_replica(self: SeveralMachinesType, count: int) -> SeveralMachinesType:
        """Set the number of machines."""
        return self._set(replicas=count)


class ContainerRuntime(_SeveralMachines):
    """A container image.

    Attributes:
        image: its name and tag.
        entrypoint: the entrypoint instead of the image's own; a list, or text.
        cmd: the arguments instead of the image's own; a list, or text.
    """

    kind: ClassVar[str] = "container"

    image: Any = None
    entrypoint: Any = None
    cmd: Any = None

    def with_image(
        self, image: str, entrypoint: str | list[str] | None = None, cmd: str | list[str] | None = None
    ) -> "ContainerRuntime":
        """Set the image, its entrypoint and its arguments."""
        given = {"image": image, "entrypoint": entrypoint, "cmd": cmd}
        return self._set(**{name: value for name, value in given.items() if value is not None})

    def with_entrypoint(self, entrypoint: str | list[str]) -> "ContainerRuntime":
        """Set the entrypoint instead of the image's own."""
        return self._set(entrypoint=entrypoint)

    def with_cmd(self, cmd: str | list[str]) -> "ContainerRuntime":
        """Set the arguments of the entrypoint."""
        return self._set(cmd=cmd)


class PyTorchDistributedRuntime(PythonRuntime, _SeveralMachines):
    """PyTorch, or another program that is launched on several machines.

    Attributes:
        command: the command that launches it, such as `torchrun train.py`; without one, torchrun runs the entrypoint.
        git: the repository with the code, `{url, branch, commit, gitSecretId}`.
        inputs: files to fetch, `{uri: path}`.
        dependencies: `{pipPackages, pipRequirements}`.
        deepspeed: whether DeepSpeed is used.
    """

    kind: ClassVar[str] = "pyTorchDistributed"

    command: Any = None
    git: Any = None
    inputs: Any = None
    dependencies: Any = None
    deepspeed: Any = None

    def with_git(
        self, url: str, branch: str | None = None, commit: str | None = None, secret_ocid: str | None = None
    ) -> "PyTorchDistributedRuntime":
        """Set the repository with the code, its branch or commit, and the secret with the SSH key."""
        given = {"url": url, "branch": branch, "commit": commit, "gitSecretId": secret_ocid}
        return self._set(git={name: value for name, value in given.items() if value})

    def with_inputs(self, mappings: Mapping[str, str]) -> "PyTorchDistributedRuntime":
        """Set files to fetch before the code runs: URI → path, relative to the working folder."""
        return self._set(inputs=dict(mappings))

    def with_dependency(self, pip_req: str | None = None, pip_pkg: str | None = None) -> "PyTorchDistributedRuntime":
        """Set a requirements file and packages that pip installs first."""
        given = {"pipRequirements": pip_req, "pipPackages": pip_pkg}
        return self._set(dependencies={name: value for name, value in given.items() if value})

    def with_command(self, command: str, use_deepspeed: bool = False) -> "PyTorchDistributedRuntime":
        """Set the command that launches the code, and whether it uses DeepSpeed."""
        self._set(command=command)
        return self._set(deepspeed=True) if use_deepspeed else self


_RUNTIMES: dict[str, type[Runtime]] = {
    runtime.kind: runtime
    for runtime in (
        ScriptRuntime,
        PythonRuntime,
        NotebookRuntime,
        GitPythonRuntime,
        ContainerRuntime,
        PyTorchDistributedRuntime,
        CondaRuntime,
        DataFlowRuntime,
    )
}


def runtime_from_spec(kind: str, spec: Mapping[str, Any] | None = None) -> Runtime:
    """Return a runtime of a kind, `script`, `python`, `notebook`, `gitPython`, `container` or `pyTorchDistributed`.

    Args:
        kind: the runtime's type, as in a job's YAML.
        spec: its specification, as in a job's YAML; it is not changed.

    Raises:
        NotImplementedError: there is no such kind.
        AttributeError: the specification is no mapping.
    """
    if kind not in _RUNTIMES:
        raise NotImplementedError(f"runtime type {kind!r} is not supported; the types are: {', '.join(_RUNTIMES)}")
    return _RUNTIMES[kind].from_spec(spec)
