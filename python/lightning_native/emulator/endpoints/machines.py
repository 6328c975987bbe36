"""Machines on offer and the clusters that have them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import MACHINES, MachineType
from lightning_native.emulator.cloud_accounts import CLUSTERS, DEFAULT_CLUSTER, SUPPLIES, Supply


def _accelerator(machine: MachineType, cluster: str, supply: Supply, *, full: bool) -> dict[str, Any]:
    slug = machine.listed_slug
    wait = str(supply.wait_seconds)
    return {
        "acceleratorType": "GPU" if machine.is_gpu else "CPU",
        "availableInSeconds": wait,
        "availableInSecondsSpot": wait,
        "clusterId": cluster,
        "cost": supply.hourly(machine),
        "displayName": slug.removeprefix("lit-").upper().replace("-", " "),
        "dwsOnly": supply.queued,
        "enabled": True,
        "family": machine.family,
        "instanceId": f"local.{slug}",
        "isTierRestricted": supply.needs_plan,
        "outOfCapacity": full or supply.full,
        "provider": CLUSTERS[cluster][0],
        "resources": {
            "cpu": machine.cpus,
            "gpu": machine.count if machine.is_gpu else 0,
            "gpuType": machine.gpu_type,
            "memoryMb": str(machine.memory_gb * 1024),
            "storageGb": "400",
        },
        "secondaryInstanceId": "",
        "slug": slug,
        "slugMultiCloud": slug,
        "spotPrice": machine.spot_price,
    }


def _accelerators(request: Request, cluster: str) -> Response:
    cloud = cloud_of(request)
    if cloud.settings.profile.accounts:
        supplies = SUPPLIES[cluster]
    else:
        listed = (slug for slug, machine in MACHINES.items() if machine.listed)
        supplies = {slug: Supply(int(cloud.settings.boot_seconds_of(slug))) for slug in listed}
    return reply(
        {
            "accelerator": [
                _accelerator(MACHINES[slug], cluster, supply, full=cloud.faults.is_out_of_capacity(slug))
                for slug, supply in supplies.items()
            ]
        }
    )


async def _default_accelerators(request: Request) -> Response:
    wanted = request.query_params.get("cloudProvider", "AWS")
    for cluster, (provider, _) in CLUSTERS.items():
        if provider == wanted:
            return _accelerators(request, cluster)
    return reply({"accelerator": []})


async def _cluster_accelerators(request: Request) -> Response:
    cluster = request.path_params["id"]
    if cluster not in CLUSTERS:
        raise ApiError(404, f"cloud account {cluster} not found")
    return _accelerators(request, cluster)


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
    created = "2026-01-01T00:00:00Z"
    return reply(
        {
            "clusters": [
                {"clusterId": cluster, "clusterName": cluster, "projectId": project, "createdAt": created}
                for cluster in CLUSTERS
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
