"""Machines on offer and the clusters that have them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import CLUSTERS, DEFAULT_CLUSTER, MACHINES, MachineType


def _accelerator(machine: MachineType, provider: str, cluster: str, boot_seconds: float, full: bool) -> dict[str, Any]:
    name = machine.slug.removeprefix("lit-").upper().replace("-", " ")
    return {
        "acceleratorType": "GPU" if machine.is_gpu else "CPU",
        "availableInSeconds": str(int(boot_seconds)),
        "availableInSecondsSpot": str(int(boot_seconds)),
        "clusterId": cluster,
        "cost": machine.price,
        "displayName": name,
        "enabled": True,
        "family": machine.family,
        "instanceId": f"local.{machine.slug}",
        "outOfCapacity": full,
        "provider": provider,
        "resources": {
            "cpu": machine.cpus,
            "gpu": machine.count if machine.is_gpu else 0,
            "gpuType": machine.family if machine.is_gpu else "",
            "memoryMb": str(machine.memory_gb * 1024),
            "storageGb": "400",
        },
        "secondaryInstanceId": "",
        "slug": machine.slug,
        "slugMultiCloud": machine.slug,
        "spotPrice": machine.hourly(interruptible=True),
    }


def _accelerators(request: Request, provider: str, cluster: str) -> Response:
    cloud = cloud_of(request)
    return reply(
        {
            "accelerator": [
                _accelerator(
                    machine,
                    provider,
                    cluster,
                    cloud.settings.boot_seconds_of(machine.slug),
                    cloud.faults.is_out_of_capacity(machine.slug),
                )
                for machine in MACHINES.values()
            ]
        }
    )


async def _default_accelerators(request: Request) -> Response:
    wanted = request.query_params.get("cloudProvider", "AWS")
    for cluster, (provider, _) in CLUSTERS.items():
        if provider == wanted:
            return _accelerators(request, provider, cluster)
    return reply({"accelerator": []})


async def _cluster_accelerators(request: Request) -> Response:
    cluster = request.path_params["id"]
    if cluster not in CLUSTERS:
        raise ApiError(404, f"cloud account {cluster} not found")
    return _accelerators(request, CLUSTERS[cluster][0], cluster)


def _cluster(cluster: str) -> dict[str, Any]:
    provider, key = CLUSTERS[cluster]
    specification = {"clusterType": "CLUSTER_TYPE_GLOBAL", "driver": provider, key: {}}
    return {"id": cluster, "name": cluster, "spec": specification, "createdAt": "2026-01-01T00:00:00Z"}


async def _list_clusters(_request: Request) -> Response:
    return reply({"clusters": [_cluster(cluster) for cluster in CLUSTERS], "defaultCluster": DEFAULT_CLUSTER})


async def _get_cluster(request: Request) -> Response:
    cluster = request.path_params["id"]
    if cluster not in CLUSTERS:
        raise ApiError(404, f"cloud account {cluster} not found")
    return reply(_cluster(cluster))


async def _list_project_clusters(_request: Request) -> Response:
    return reply({"clusters": []})


async def _list_bindings(request: Request) -> Response:
    project = request.path_params["project"]
    return reply(
        {
            "clusters": [
                {
                    "clusterId": DEFAULT_CLUSTER,
                    "clusterName": DEFAULT_CLUSTER,
                    "projectId": project,
                    "createdAt": "2026-01-01T00:00:00Z",
                }
            ]
        }
    )


ROUTES = [
    Route("/v1/core/accelerators", _default_accelerators),
    Route("/v1/core/clusters", _list_clusters),
    Route("/v1/core/clusters/{id}", _get_cluster),
    Route("/v1/core/clusters/{id}/accelerators", _cluster_accelerators),
    Route("/v1/projects/{project}/clusters", _list_project_clusters),
    Route("/v1/projects/{project}/projectclustersbindings", _list_bindings),
]
