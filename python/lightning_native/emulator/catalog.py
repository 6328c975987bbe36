"""The machines that the local cloud offers: the SDK's names and slugs, with prices in the order of the platform's.

Prices are dollars an hour, of the year 2026 and meant for arithmetic, not for budgets. Nothing here makes a GPU:
a command runs on this computer whatever machine was asked for.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, reply
from lightning_native.emulator.api_error import ApiError

DEFAULT_MACHINE = "cpu-4"
DEFAULT_CLUSTER = "lightning-public-prod"
_INTERRUPTIBLE_SHARE = 0.4

# Cluster id → (provider of accelerators, key of the cluster's specification)
CLUSTERS = {
    "lightning-public-prod": ("AWS", "awsV1"),
    "gcp-lightning-public-prod": ("GCP", "googleCloudV1"),
    "lightning-lambda-prod": ("LAMBDA_LABS", "lambdaLabsV1"),
    "lightning-nebius-prod": ("NEBIUS", "nebiusV1"),
    "lightning-baremetal": ("MACHINE", "machineV1"),
}


@dataclass(frozen=True)
class MachineType:
    """A kind of machine.

    Attributes:
        slug: how requests name it.
        family: `CPU`, `DATA-PREP` or the GPU's name.
        count: CPUs of a CPU machine, GPUs of any other.
        cpus: CPUs of the whole machine.
        memory_gb: main memory of the whole machine.
        price: dollars an hour.

    """

    slug: str
    family: str
    count: int
    cpus: int
    memory_gb: int
    price: float

    @property
    def is_gpu(self) -> bool:
        """Whether it has GPUs."""
        return self.family not in ("CPU", "DATA-PREP")

    def hourly(self, interruptible: bool) -> float:
        """Return dollars an hour."""
        return round(self.price * _INTERRUPTIBLE_SHARE, 4) if interruptible else self.price


def _gpus(
    prefix: str, family: str, price: float, cpus: int, memory_gb: int, counts: tuple[int, ...] = (1, 2, 4, 8)
) -> list[MachineType]:
    return [
        MachineType(f"{prefix}-{count}", family, count, cpus * count, memory_gb * count, round(price * count, 2))
        for count in counts
    ]


MACHINES = {
    machine.slug: machine
    for machine in [
        MachineType("cpu-2", "CPU", 2, 2, 8, 0.11),
        MachineType("cpu-4", "CPU", 4, 4, 16, 0.2),
        MachineType("cpu-8", "CPU", 8, 8, 32, 0.47),
        MachineType("cpu-16", "CPU", 16, 16, 64, 0.93),
        MachineType("data-prep-mid", "DATA-PREP", 32, 32, 128, 1.92),
        MachineType("data-prep-max-large", "DATA-PREP", 64, 64, 256, 3.85),
        MachineType("data-prep-ultra-extra-large", "DATA-PREP", 96, 96, 384, 5.76),
        MachineType("lit-t4-1-small", "T4", 1, 4, 16, 0.55),
        *_gpus("lit-t4", "T4", 0.68, 8, 32),
        *_gpus("lit-l4", "L4", 0.7, 8, 32),
        *_gpus("lit-l40s", "L40S", 2.1, 16, 128),
        *_gpus("lit-rtx-6000-pro", "RTX PRO", 2.5, 24, 160),
        *_gpus("lit-a100", "A100", 2.6, 12, 120),
        *_gpus("lit-a100-40gb", "A100", 1.6, 12, 120),
        *_gpus("lit-a100-80gb", "A100", 2.6, 12, 120),
        *_gpus("lit-h100", "H100", 3.5, 24, 200),
        *_gpus("lit-h200", "H200", 4.2, 24, 250),
        *_gpus("lit-b200", "B200", 6.5, 28, 320, (1, 8)),
    ]
}


def _names() -> dict[str, str]:
    names = {f"local.{slug}": slug for slug in MACHINES}
    names |= {"CPU_SMALL": "cpu-2", "CPU": "cpu-4", "T4_SMALL": "lit-t4-1-small", "DATA_PREP": "data-prep-mid"}
    names |= {"DATA_PREP_MAX": "data-prep-max-large", "DATA_PREP_ULTRA": "data-prep-ultra-extra-large"}
    for slug in MACHINES:
        kind, _, count = slug.removeprefix("lit-").upper().replace("RTX-6000-PRO", "RTXP_6000").rpartition("-")
        kind = kind.replace("-", "_")
        if (count.isdigit() and kind in ("CPU", "A100_40GB", "A100_80GB", "RTXP_6000")) or "_" not in kind:
            names[f"{kind}_X_{count}"] = slug
            if count == "1":
                names[kind] = slug
    return names


# Jobs are also asked for with the SDK's own names, which it sends as they are.
_NAMES = _names()


def machine_type(name: str) -> MachineType:
    """Return the machine of a slug, an instance id or a name of the SDK; 400 when there is none."""
    machine = MACHINES.get(_NAMES.get(name, name))
    if machine is None:
        raise ApiError(400, f"the local cloud has no machine {name}; it has {', '.join(MACHINES)}")
    return machine


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
