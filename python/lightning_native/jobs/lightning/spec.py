"""A job of Lightning before its submission, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Substitutes:
    """Replacements on Lightning for names in a job.

    Attributes:
        machine: a machine instead of the job's machine or shape.
        studio: the studio with whose files and environment the job starts, instead of the job's.
        conda: studios, by the slug or URI of a conda environment.
        budget: the most dollars that the job may cost, instead of the job's.
        seconds: a time limit of the command besides the job's own, that its budget pays for.
        secrets: names of secrets of the teamspace, by the identifier of a vault's secret.
    """

    machine: str | None = None
    studio: str | None = None
    budget: float | None = None
    seconds: float | None = None
    conda: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LightningJobSpec:
    """A job of Lightning.

    Attributes:
        name: unique in the teamspace.
        machine: the SDK's name of the machine.
        command: the command; None: the image's own.
        env: variables, the job's description among them.
        studio: the studio with whose files and environment the job starts; None: one of our own, or the image.
        image: the container image with which it starts instead.
        entrypoint: the image's entrypoint; empty: the image's own.
        num_machines: the number of machines that run the command.
        interruptible: whether the machines may be interrupted.
        tags: the job's tags.
        source: path or URL of the job's code; None: it needs no code of this computer.
        entry: the file that the code must have; None: it is not known.
        single_file: whether the source itself runs, so that it cannot be a folder or an archive.
        folder: the folder for driver and code, relative to the studio's home.
        time_limit: the time limit in seconds.
        budget: the most dollars that the job may cost.
        cloud_account: the id of the cloud account on which it runs; None: chosen with the machine.
        scratch_disks: gigabytes of disks below `/teamspace/scratch`, by their names.
        path_mappings: data connections, or `connection:folder`, by the paths at which they are mounted.
        warnings: the differences on Lightning, for people.
    """

    name: str
    machine: str
    command: str | None
    env: dict[str, str] = field(repr=False)
    studio: str | None = None
    image: str | None = None
    entrypoint: str | None = None
    num_machines: int = 1
    interruptible: bool = False
    tags: tuple[str, ...] = ()
    source: str | None = None
    entry: str | None = None
    single_file: bool = False
    folder: str = ""
    time_limit: float | None = None
    budget: float | None = None
    cloud_account: str | None = None
    scratch_disks: Mapping[str, int] = field(default_factory=dict)
    path_mappings: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, object]:
        """The keyword arguments of the SDK's `Job.run`, except for the teamspace."""
        from lightning_native.lightning.cloud import SCRATCH
        from lightning_native.lightning.machines import machine_slug

        return {
            "name": self.name,
            # The platform knows slugs, and the SDK sends the name unchanged.
            "machine": machine_slug(self.machine),
            "command": self.command,
            "studio": self.studio,
            "image": self.image,
            "entrypoint": self.entrypoint,
            "env": self.env,
            "interruptible": self.interruptible,
            "num_machines": self.num_machines,
            "tags": list(self.tags) or None,
            "scratch_disks": {f"{SCRATCH}/{name}": size for name, size in self.scratch_disks.items()} or None,
            "path_mappings": dict(self.path_mappings) or None,
            # The snapshot must have the uploads since the last job.
            "reuse_snapshot": False,
        }
