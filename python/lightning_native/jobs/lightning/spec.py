"""What a job is on Lightning, before it is submitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Substitutes:
    """What stands on Lightning for what a job names.

    Attributes:
        machine: instead of the job's machine or shape.
        studio: whose files and environment the job starts from, instead of the job's.
        conda: studio, by slug or URI of a conda environment.
        secrets: name of a secret of the teamspace, by the identifier of a vault's secret.
    """

    machine: str | None = None
    studio: str | None = None
    conda: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LightningJobSpec:
    """A job of Lightning.

    Attributes:
        name: unique in the teamspace.
        machine: the SDK's name.
        command: what runs; None: what the image runs by itself.
        env: environment variables; they hold the job's description.
        studio: whose files and environment the job starts from; None: one of our own, or the image.
        image: the container image that it starts from instead.
        entrypoint: of the image; empty: its own.
        num_machines: on how many machines the command runs.
        interruptible: whether the machines may be taken away.
        tags: names.
        source: path or URL of the code that the job needs; None: it needs none of here.
        entry: the file that must be in the code; None: it is not known.
        single_file: whether the source itself is what runs, so that it cannot be a folder or an archive.
        folder: where the driver and the code go, relative to the studio's home.
        time_limit: seconds.
        warnings: what is not the same on Lightning, for people.
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
    warnings: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, object]:
        """The keyword arguments of the SDK's `Job.run`, but for the teamspace."""
        from lightning_native.lightning.machines import machine_slugs

        return {
            "name": self.name,
            # The SDK sends a name as it is; the platform knows slugs.
            "machine": machine_slugs()[self.machine],
            "command": self.command,
            "studio": self.studio,
            "image": self.image,
            "entrypoint": self.entrypoint,
            "env": self.env,
            "interruptible": self.interruptible,
            "num_machines": self.num_machines,
            "tags": list(self.tags) or None,
            # What was uploaded since the last job must be in the snapshot.
            "reuse_snapshot": False,
        }
