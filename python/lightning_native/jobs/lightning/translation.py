"""Translation: a job's description to a job of Lightning."""

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlparse

from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.errors import InvalidNameError, JobError
from lightning_native.jobs.driver.repository import KEY_VARIABLE
from lightning_native.jobs.infrastructure import DataScienceJob, Infrastructure, Lightning
from lightning_native.jobs.job import Job
from lightning_native.jobs.lightning.checks import (
    CheckedContainer,
    CheckedGit,
    CheckedNotebook,
    CheckedPyTorch,
    CheckedScript,
    check_credentials,
    check_environment,
    check_runtime,
    check_texts,
    text_mapping,
)
from lightning_native.jobs.lightning.container import container_command
from lightning_native.jobs.lightning.description import VARIABLE, describe
from lightning_native.jobs.lightning.exit_code import PRINT_EXIT_CODE
from lightning_native.jobs.lightning.program import PROGRAM, inline_program
from lightning_native.jobs.lightning.shapes import machine_of_shape
from lightning_native.jobs.lightning.spec import LightningJobSpec, Substitutes
from lightning_native.jobs.runtimes import NotebookRuntime, Runtime, ScriptRuntime
from lightning_native.jobs.yaml_text import check_extent
from lightning_native.user_input.url_credentials import LIKE_A_SECRET, has_credentials

FOLDER = ".lightning-native/jobs"
# URLs that are downloaded at submission; every other scheme needs credentials of another service.
WEB_SCHEMES = ("http", "https", "ftp")
_WITHOUT_COUNTERPART = ("compartmentId", "projectId", "subnetId", "logId", "logGroupId", "jobInfrastructureType")
_GRACE_SECONDS = 30
_DISKS = "{data: 500}"


def translate(
    job: Job | Runtime, *, name: str | None = None, substitutes: Substitutes | None = None
) -> LightningJobSpec:
    """Return a job as a job of Lightning. Nothing is read, created or contacted.

    Args:
        job: the job, or only its runtime.
        name: the job's name on Lightning; derived from the job's own name if None.
        substitutes: replacements for conda environments and secrets of Oracle.

    Raises:
        JobError: it cannot run on Lightning.
        UnknownMachineError: Lightning has no machine of the requested name.
    """
    if isinstance(job, Runtime):
        job = Job(runtime=job)
    if job.runtime is None:
        raise JobError("the job has no runtime; describe it as spec.runtime")
    document = job.to_dict()
    check_extent(document)
    check_texts(document)
    check_credentials(job.runtime.to_spec())
    return _Translation(job, job.runtime, name or _name(job), substitutes or Substitutes()).spec()


def _canonical(machine: str) -> str:
    # Imported here, because a step process, which names no machine, has no SDK.
    from lightning_native.lightning.machines import canonical_machine

    return canonical_machine(machine)


def _words_of(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _name(job: Job) -> str:
    from lightning_native import sanitize_studio_name

    try:
        return sanitize_studio_name(str(job.name) if job.name else f"{job.runtime.kind if job.runtime else ''} job")
    except InvalidNameError as error:
        raise JobError(f"no name on Lightning can be made of the job's name: {error}") from error


class _Translation:
    """One translation, with the warnings that it collects."""

    def __init__(self, job: Job, runtime: Runtime, name: str, substitutes: Substitutes) -> None:
        self._job = job
        self._runtime = runtime
        self._name = name
        self._substitutes = substitutes
        self._checked = check_runtime(runtime)
        self._warnings: list[str] = []
        self._environment = check_environment(runtime.env)

    def spec(self) -> LightningJobSpec:
        checked = self._checked
        if getattr(checked, "replicas", 1) > 1 and self._mapping("scratch_disks", int, _DISKS):
            raise JobError("infrastructure.spec.scratch_disks: jobs of several machines have none; set replicas to 1")
        machine, given_studio, image, interruptible = self._infrastructure(self._job.infrastructure)
        self._common_warnings()
        self._environment |= self._secret()
        environment = {**self._environment, VARIABLE: describe(self._job)}
        common: dict[str, Any] = {
            "name": self._name,
            "machine": machine,
            "env": environment,
            "interruptible": interruptible,
            "num_machines": getattr(checked, "replicas", 1),
            "tags": self._tags(),
            "time_limit": self._time_limit(),
            "budget": self._budget(self._job.infrastructure),
            "cloud_account": self._cloud_account(self._job.infrastructure),
            "scratch_disks": self._mapping("scratch_disks", int, _DISKS),
            "path_mappings": self._mapping("path_mappings", str, "{/data: my-bucket}"),
        }
        if isinstance(checked, CheckedContainer):
            entrypoint, command = container_command(checked)
            if checked.minutes:
                self._warn("maximumRuntimeInMinutes of a container is kept only while `job run` waits")
            return LightningJobSpec(
                **common,
                image=checked.image,
                entrypoint=entrypoint,
                command=command,
                warnings=tuple(self._warnings),
            )
        studio = self._substitutes.studio or self._conda_studio() or given_studio
        source, entry = self._source()
        folder = f"{FOLDER}/{self._name}"
        if image and source:
            raise JobError("code of this computer cannot be put into an image; name a studio instead, or use Git")
        run = shlex.join(["python3", "-u", *(["-c", inline_program()] if image else [f"{folder}/{PROGRAM}"])])
        return LightningJobSpec(
            **common,
            command=self._command(run),
            studio=None if image else studio,
            image=image,
            source=source,
            entry=entry,
            single_file=entry is None and self._runtime.kind in (ScriptRuntime.kind, NotebookRuntime.kind),
            folder=folder,
            warnings=tuple(self._warnings),
        )

    def _warn(self, warning: str) -> None:
        self._warnings.append(warning)

    def _infrastructure(self, infrastructure: Infrastructure | None) -> tuple[str, str | None, str | None, bool]:
        """Return machine, studio, image, and whether the machine may be interrupted."""
        wanted = self._substitutes.machine
        chosen = _canonical(wanted) if wanted else None
        if infrastructure is None:
            return chosen or DEFAULT_MACHINE, None, None, False
        specification = infrastructure.to_spec()
        if isinstance(infrastructure, Lightning):
            for key in infrastructure.unknown_keys:
                self._warn(f"infrastructure.spec.{key} is not known, and ignored; {infrastructure.hint(key)}")
            machine, studio, image = (specification.get(key) for key in ("machine", "studio", "image"))
            for key, value in (("machine", machine), ("studio", studio), ("image", image)):
                if value is not None and not isinstance(value, str):
                    raise JobError(f"infrastructure.spec.{key} is {value!r}; write a name")
            if studio and image:
                raise JobError("infrastructure.spec has a studio and an image; a job starts from one of them")
            name = chosen or (_canonical(machine) if machine else DEFAULT_MACHINE)
            return name, studio, image, bool(specification.get("interruptible"))
        if not isinstance(infrastructure, DataScienceJob):
            raise JobError(f"infrastructure type {infrastructure.type!r} has no counterpart on Lightning")
        self._warn_of_place(specification)
        return chosen or self._shape(specification), None, None, False

    def _warn_of_place(self, specification: Mapping[str, Any]) -> None:
        dropped = [key for key in _WITHOUT_COUNTERPART if specification.get(key)]
        if dropped:
            self._warn(f"has no counterpart on Lightning, and is ignored: {', '.join(dropped)}")
        if size := specification.get("blockStorageSize"):
            self._warn(f"blockStorageSize: the disk of the machine counts, not {size} GB")
        if specification.get("storageMount"):
            self._warn("storageMount: nothing is mounted; bring the data as inputs, or to the teamspace's drive")

    def _shape(self, specification: Mapping[str, Any]) -> str:
        shape = specification.get("shapeName")
        if not shape:
            self._warn(f"there is no shapeName: it runs on {DEFAULT_MACHINE}")
            return DEFAULT_MACHINE
        details = specification.get("shapeConfigDetails") or {}
        if not isinstance(shape, str) or not isinstance(details, Mapping):
            raise JobError("infrastructure.spec: shapeName is text, and shapeConfigDetails a mapping")
        machine, warnings = machine_of_shape(shape, details)
        self._warnings += warnings
        return _canonical(machine)

    def _common_warnings(self) -> None:
        checked = self._checked
        for key in self._runtime.unknown_keys:
            self._warn(
                f"runtime.spec.{key} means nothing for {self._runtime.kind}, and is ignored; {self._runtime.hint(key)}"
            )
        if checked.defined_tags:
            self._warn("definedTags are kept in the description only: Lightning's tags have no values")
        if isinstance(checked, CheckedGit) and not self._runtime.to_spec().get("skipMetadataUpdate"):
            self._warn("the run is not tagged with its commit: the job's log says it")
        if isinstance(checked, CheckedNotebook) and checked.args:
            self._warn("a notebook has no arguments: args are ignored, as ADS does")
        if checked.output_uri and (scheme := urlparse(checked.output_uri).scheme) not in ("", "file"):
            self._warn(
                f"outputUri {checked.output_uri}: if the job has no fsspec for {scheme} or no credentials, "
                "the output stays among the job's artifacts"
            )
        if isinstance(checked, CheckedPyTorch):
            for uri in checked.inputs or {}:
                if urlparse(uri).scheme not in WEB_SCHEMES:
                    self._warn(f"input {uri}: the job needs fsspec for it, and credentials")
        words = [
            *checked.args,
            *_words_of(getattr(checked, "command", None)),
            *_words_of(getattr(checked, "cmd", None)),
        ]
        if any(map(has_credentials, words)):
            self._warn("a URL in args or command has credentials, which everybody in the teamspace can read")
        if suspects := [name for name in self._environment if LIKE_A_SECRET.search(name)]:
            self._warn(
                f"env: {', '.join(suspects)} can be read by everybody in the teamspace; "
                "make it a secret of the teamspace instead, which jobs get as a variable"
            )

    def _tags(self) -> tuple[str, ...]:
        tags = self._checked.freeform_tags
        if not tags and isinstance(self._job.infrastructure, DataScienceJob):
            given = self._job.infrastructure.freeform_tags
            tags = dict(given) if isinstance(given, Mapping) else None
        return tuple(f"{name}:{value}" if value else name for name, value in text_mapping(tags).items())

    def _conda_studio(self) -> str | None:
        conda = self._checked.conda
        if not conda:
            return None
        name = str(conda.get("slug") or conda.get("uri") or "")
        if name in self._substitutes.conda:
            return self._substitutes.conda[name]
        self._warn(
            f"conda environment {name or conda}: Lightning has no access to it; the job runs in the Python of its "
            "studio (say which studio has the same packages)"
        )
        return None

    def _secret(self) -> dict[str, str]:
        """Return the variable with the name of the secret with the Git key, for the driver."""
        checked = self._checked
        repository = checked if isinstance(checked, CheckedGit) else getattr(checked, "git", None)
        identifier = repository.secret if repository else None
        if not identifier:
            return {}
        name = self._substitutes.secrets.get(identifier, identifier)
        if name.startswith("ocid1."):
            self._warn(
                f"gitSecretId {identifier}: Lightning cannot read Oracle's vault; the repository is cloned without a "
                "key (say which secret of the teamspace has it)"
            )
            return {}
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise JobError(f"gitSecretId {name!r} is no name of a secret of the teamspace")
        return {KEY_VARIABLE: name}

    def _source(self) -> tuple[str | None, str | None]:
        """Return the source of the code to upload, and the file that it must have."""
        checked = self._checked
        source: str | None = None
        entry: str | None = None
        if isinstance(checked, CheckedNotebook):
            source = checked.source if checked.entrypoint and checked.source else checked.notebook
            entry = checked.entrypoint if checked.entrypoint and checked.source else None
        elif isinstance(checked, CheckedPyTorch):
            source = None if checked.git else checked.source
        elif isinstance(checked, CheckedScript):
            source, entry = checked.source, checked.entrypoint
            if working_dir := getattr(checked, "working_dir", None):
                entry = str(PurePosixPath(working_dir, entry)) if entry else None
        scheme = urlparse(source).scheme if source else ""
        if scheme == "file":
            source = urlparse(str(source)).path
        elif scheme and scheme not in WEB_SCHEMES:
            raise JobError(f"{source} cannot be read from here; copy it to this computer, and name its path")
        return source, entry

    def _budget(self, infrastructure: Infrastructure | None) -> float | None:
        given = infrastructure.budget if isinstance(infrastructure, Lightning) else None
        if given is not None and (
            isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < float("inf")
        ):
            raise JobError(f"infrastructure.spec.budget is {given!r}; write dollars above 0, such as 5.00")
        return self._substitutes.budget or given

    def _cloud_account(self, infrastructure: Infrastructure | None) -> str | None:
        given = infrastructure.cloud_account if isinstance(infrastructure, Lightning) else None
        if given is not None and (not isinstance(given, str) or not given.strip()):
            hint = "write an id, such as lightning-public-prod"
            raise JobError(f"infrastructure.spec.cloud_account is {given!r}; {hint}")
        return given

    def _mapping(self, key: str, kind: type, example: str) -> dict[str, Any]:
        """Return a mapping of a Lightning infrastructure whose values have one type; empty without one."""
        infrastructure = self._job.infrastructure
        given = getattr(infrastructure, key) if isinstance(infrastructure, Lightning) else None
        if not given and not isinstance(given, int):
            return {}
        if not isinstance(given, Mapping) or not all(
            isinstance(name, str) and type(value) is kind and value for name, value in given.items()
        ):
            raise JobError(f"infrastructure.spec.{key} is {given!r}; write a mapping such as {example}")
        return dict(given)

    def _time_limit(self) -> float | None:
        """Return the seconds that the job may take, by its own limit or by its budget."""
        own = self._checked.minutes * 60 if self._checked.minutes else None
        return min((limit for limit in (own, self._substitutes.seconds) if limit), default=None)

    def _command(self, run: str) -> str:
        seconds = self._time_limit()
        limit = f"timeout --kill-after={_GRACE_SECONDS} {seconds:g} " if seconds else ""
        return f'code=0\n{limit}{run} || code=$?\n[ "$code" -eq 0 ] || {PRINT_EXIT_CODE}\nexit $code'
