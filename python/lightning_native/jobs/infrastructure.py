"""Infrastructures, on which a job runs: `dataScienceJob` as ADS describes it, or our own `lightning`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from lightning_native.jobs.specification import Specification


class Infrastructure(Specification):
    """An infrastructure: a type, and a specification kept as it was written."""

    type: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the infrastructure as it is written into a job's YAML."""
        return {"kind": "infrastructure", "type": self.type, "spec": self.to_spec()}


class DataScienceJob(Infrastructure):
    """An OCI Data Science job.

    Attributes:
        shape_name: the machine, such as `VM.GPU.A10.1`.
        shape_config_details: of a flexible machine, `{ocpus, memoryInGBs}`.
        job_type: `DEFAULT`.
        block_storage_size: gigabytes.
        storage_mount: file systems and buckets, a list of `{src, dest}`.
    """

    type: ClassVar[str] = "dataScienceJob"
    # The spellings of OCI's payloads.
    _aliases: ClassVar[dict[str, str]] = {
        "block_storage_size_in_gbs": "blockStorageSize",
        "job_shape_config_details": "shapeConfigDetails",
    }
    _shape_aliases: ClassVar[dict[str, str]] = {"memory_in_gbs": "memoryInGBs"}

    project_id: Any = Field(default=None, alias="projectId")
    compartment_id: Any = Field(default=None, alias="compartmentId")
    display_name: Any = Field(default=None, alias="displayName")
    job_type: Any = Field(default="DEFAULT", alias="jobType")
    job_infrastructure_type: Any = Field(default=None, alias="jobInfrastructureType")
    shape_name: Any = Field(default=None, alias="shapeName")
    shape_config_details: Any = Field(default=None, alias="shapeConfigDetails")
    block_storage_size: Any = Field(default=None, alias="blockStorageSize")
    subnet_id: Any = Field(default=None, alias="subnetId")
    log_id: Any = Field(default=None, alias="logId")
    log_group_id: Any = Field(default=None, alias="logGroupId")
    storage_mount: Any = Field(default=None, alias="storageMount")
    freeform_tags: Any = Field(default=None, alias="freeformTags")
    defined_tags: Any = Field(default=None, alias="definedTags")

    @classmethod
    def _standard(cls, spec: Mapping[str, Any]) -> dict[str, Any]:
        standard = super()._standard(spec)
        renamed_too = "shape_config_details" in spec or "job_shape_config_details" in spec
        if renamed_too and isinstance(details := standard["shapeConfigDetails"], Mapping):
            renamed = {cls._shape_aliases.get(key, key): value for key, value in details.items()}
            standard["shapeConfigDetails"] = renamed
        return standard


class DataFlow(Infrastructure):
    """An OCI Data Flow application, which no dialect here can run."""

    type: ClassVar[str] = "dataFlow"


class Lightning(Infrastructure):
    """A machine of Lightning.

    Attributes:
        machine: its name, such as `L4` or `CPU`.
        studio: the studio with whose files and environment the job starts; a new one if None.
        image: the container image with which the job starts, instead of a studio.
        interruptible: whether the machine may be interrupted, which costs less.
        budget: the most dollars that the job may cost.
        cloud_account: the id of the cloud account whose machine it is; chosen with the machine if None.
        scratch_disks: gigabytes of fast disks below `/teamspace/scratch`, by their names.
        path_mappings: data connections, or `connection:folder`, by the paths at which they are mounted.
    """

    type: ClassVar[str] = "lightning"

    machine: Any = None
    studio: Any = None
    image: Any = None
    interruptible: Any = None
    budget: Any = None
    cloud_account: Any = None
    scratch_disks: Any = None
    path_mappings: Any = None


_INFRASTRUCTURES: dict[str, type[Infrastructure]] = {
    infrastructure.type: infrastructure for infrastructure in (DataScienceJob, DataFlow, Lightning)
}


def infrastructure_from_spec(kind: str | None, spec: Mapping[str, Any] | None = None) -> Infrastructure:
    """Return an infrastructure of a type, `dataScienceJob` or `lightning`.

    Raises:
        NotImplementedError: there is no such type.
        AttributeError: the specification is no mapping.
    """
    if kind not in _INFRASTRUCTURES:
        known = ", ".join(_INFRASTRUCTURES)
        raise NotImplementedError(f"infrastructure type {kind!r} is not supported; the types are: {known}")
    return _INFRASTRUCTURES[kind].from_spec(spec)
