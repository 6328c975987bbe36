"""Conda environments as variables of a job."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlparse

_TYPE = "CONDA_ENV_TYPE"
_SLUG = "CONDA_ENV_SLUG"
_BUCKET = "CONDA_ENV_BUCKET"
_NAMESPACE = "CONDA_ENV_NAMESPACE"
_OBJECT = "CONDA_ENV_OBJECT_NAME"
_REGION = "CONDA_ENV_REGION"


def translate_conda(conda: Mapping[str, Any] | None, region: str | None) -> dict[str, Any]:
    """Return the variables that describe a conda environment; any type is accepted.

    Raises:
        ValueError: a published one has no URI like `oci://bucket@namespace/name`.
        AttributeError: a published one has no region, and `region` is None.
    """
    if not conda:
        return {}
    kind = conda.get("type")
    if kind == "service":
        return {_TYPE: kind, _SLUG: conda.get("slug")}
    if kind != "published":
        return {_TYPE: kind}
    uri: Any = conda.get("uri")
    parsed: Any = urlparse(uri)
    if not (parsed.username and parsed.hostname and parsed.path):
        raise ValueError(f"the conda URI {uri!r} is not of the form oci://bucket@namespace/name")
    region = conda.get("region") or region
    if not region:
        raise AttributeError(f"the region of the conda environment {uri} is not known; name it as conda.region")
    return {
        _TYPE: kind,
        # In lower case, as in ADS.
        _NAMESPACE: parsed.hostname,
        _BUCKET: parsed.username,
        _OBJECT: parsed.path.lstrip("/"),
        _REGION: region,
    }


def extract_conda(variables: dict[str, Any]) -> dict[str, Any]:
    """Remove the variables of a conda environment, and return the environment; empty if there is none.

    Raises:
        KeyError: a published one has no namespace, which ADS does not check either.
    """
    if _TYPE in variables and _SLUG in variables:
        return {"type": variables.pop(_TYPE), "slug": variables.pop(_SLUG)}
    if variables.get(_TYPE) == "published" and _BUCKET in variables and _OBJECT in variables:
        bucket, namespace, name = (variables.pop(key) for key in (_BUCKET, _NAMESPACE, _OBJECT))
        conda = {"type": variables.pop(_TYPE), "uri": f"oci://{bucket}@{namespace}/{name}"}
        if _REGION in variables:
            conda["region"] = variables.pop(_REGION)
        return conda
    return {}
