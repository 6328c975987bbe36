"""The machine types and clusters of the local cloud: the SDK's names and slugs, at prices like the platform's.

Prices are dollars an hour in 2026, for arithmetic and not for budgets. Nothing here provides a GPU: a command
runs on this computer, whatever machine it is for.
"""

from dataclasses import dataclass

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
        slug: its name in requests.
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


# Requests for jobs also have the SDK's own names, because the SDK sends them unchanged.
_NAMES = _names()


def machine_type(name: str) -> MachineType:
    """Return the machine of a slug, an instance id or a name of the SDK; 400 when there is none."""
    machine = MACHINES.get(_NAMES.get(name, name))
    if machine is None:
        raise ApiError(400, f"the local cloud has no machine {name}; it has {', '.join(MACHINES)}")
    return machine
