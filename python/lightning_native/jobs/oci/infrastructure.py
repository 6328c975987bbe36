"""Infrastructures and whole jobs as payloads of OCI Data Science jobs."""

from collections.abc import Mapping
from string import Template
from typing import Any

from lightning_native.jobs.job import Job
from lightning_native.jobs.oci.manager import translate
from lightning_native.jobs.variables import environment_variables

_NAMES = {
    "jobInfrastructureType": "jobInfrastructureType",
    "shapeName": "shapeName",
    "subnetId": "subnetId",
    "blockStorageSize": "blockStorageSizeInGBs",
    "shapeConfigDetails": "jobShapeConfigDetails",
}


def translate_infrastructure(specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return `job_infrastructure_configuration_details` for the specification of a `dataScienceJob`.

    Raises:
        ValueError: it has `shapeConfigDetails` for a shape that is not flexible.
    """
    details = {name: specification[key] for key, name in _NAMES.items() if specification.get(key)}
    if details.get("jobShapeConfigDetails") and not details.get("shapeName", "").endswith("Flex"):
        raise ValueError(
            f"shapeConfigDetails is for flexible shapes, and {details.get('shapeName')} is none; remove it"
        )
    if details.get("subnetId"):
        details["jobInfrastructureType"] = "STANDALONE"
    return details


def translate_job(job: Job, *, region: str | None = "us-ashburn-1") -> dict[str, Any]:
    """Return the payload of a whole job: runtime, infrastructure, names and tags.

    Raises:
        NotImplementedError: the infrastructure is no `dataScienceJob`, or has a `storageMount`.
        ValueError: the job has no runtime. Also every error of `translate` and `translate_infrastructure`.
    """
    if job.runtime is None:
        raise ValueError("the job has no runtime; describe it as spec.runtime")
    if job.infrastructure is not None and job.infrastructure.type != "dataScienceJob":
        raise NotImplementedError(f"infrastructure type {job.infrastructure.type!r} is not one of OCI Data Science")
    infrastructure = job.infrastructure.to_spec() if job.infrastructure else {}
    if infrastructure.get("storageMount"):
        raise NotImplementedError("storageMount cannot be written into a payload here; remove it, or use ADS for it")
    payload = translate(job.runtime, region=region, job_type=infrastructure.get("jobType") or "DEFAULT")
    for key, name in (("projectId", "project_id"), ("compartmentId", "compartment_id")):
        if infrastructure.get(key):
            payload[name] = infrastructure[key]
    if job.name:
        payload["display_name"] = Template(job.name).safe_substitute(environment_variables(job.runtime.env or []))
    for key, name in (("freeformTags", "freeform_tags"), ("definedTags", "defined_tags")):
        if infrastructure.get(key):
            payload.setdefault(name, infrastructure[key])
    logs = {name: infrastructure[key] for key, name in _LOG_NAMES.items() if infrastructure.get(key)}
    if logs:
        automatic = "log_id" not in logs
        payload["job_log_configuration_details"] = {
            "enable_logging": True,
            "enable_auto_log_creation": automatic,
            **logs,
        }
    payload["job_infrastructure_configuration_details"] = translate_infrastructure(infrastructure)
    return payload


_LOG_NAMES = {"logId": "log_id", "logGroupId": "log_group_id"}
