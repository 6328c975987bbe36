"""The machine types of the local cloud: the SDK's names and slugs, at the platform's prices of 2026-09-30.

Prices are for arithmetic and not for budgets. Nothing here provides a GPU: a command runs on this computer, whatever
machine it is for. `cloud_accounts.py` has the accounts, and the machines of each.
"""

from dataclasses import dataclass, replace

from lightning_native.emulator.api_error import ApiError

DEFAULT_MACHINE = "cpu-4"


@dataclass(frozen=True)
class MachineType:
    """A kind of machine.

    Attributes:
        slug: its name in requests of the SDK.
        family: `CPU`, `DATA-PREP` or the GPU's name, as the price list has it.
        count: CPUs of a CPU machine, GPUs of any other.
        cpus: CPUs of the whole machine.
        memory_gb: main memory of the whole machine.
        price: dollars an hour.
        spot_price: dollars an hour as an interruptible machine; 0: it is not offered as one.
        live_slug: its name in the price list, which for some machines is another than the SDK's.
        gpu_type: the name of its GPU in the price list.
        listed: whether the price list has it; the others are for requests that name them.

    """

    slug: str
    family: str
    count: int
    cpus: int
    memory_gb: int
    price: float
    spot_price: float = 0.0
    live_slug: str = ""
    gpu_type: str = ""
    listed: bool = True

    @property
    def is_gpu(self) -> bool:
        """Whether it has GPUs."""
        return self.family not in ("CPU", "DATA-PREP")

    @property
    def listed_slug(self) -> str:
        """Its name in the price list."""
        return self.live_slug or self.slug

    def hourly(self, interruptible: bool) -> float:
        """Return dollars an hour."""
        return self.spot_price if interruptible and self.spot_price else self.price


@dataclass(frozen=True)
class _Gpu:
    """A kind of GPU: its names, and CPUs and memory for each."""

    prefix: str
    family: str
    gpu_type: str
    cpus: int
    memory_gb: int
    live_prefix: str = ""

    def machines(
        self, *listed: tuple[int, float, float], unlisted: dict[int, float] | None = None
    ) -> list[MachineType]:
        """Return its machines: number of GPUs, price and spot price of each in the list, and prices of the others."""
        return [self._machine(*each, listed=True) for each in listed] + [
            self._machine(count, price, 0.0, listed=False) for count, price in (unlisted or {}).items()
        ]

    def _machine(self, count: int, price: float, spot_price: float, *, listed: bool) -> MachineType:
        return MachineType(
            slug=f"{self.prefix}-{count}",
            family=self.family,
            count=count,
            cpus=self.cpus * count,
            memory_gb=self.memory_gb * count,
            price=price,
            spot_price=spot_price,
            live_slug=f"{self.live_prefix}-{count}" if self.live_prefix else "",
            gpu_type=self.gpu_type,
            listed=listed,
        )


_T4 = _Gpu("lit-t4", "T4", "nvidia-t4-16gb", 8, 32)
_L4 = _Gpu("lit-l4", "L4", "nvidia-l4-24gb", 8, 32)
_L40S = _Gpu("lit-l40s", "L40S", "nvidia-l40s-48gb", 16, 128)
_RTXP = _Gpu("lit-rtx-6000-pro", "RTXP", "nvidia-rtx-pro-6000-96gb", 24, 160)
_A100 = _Gpu("lit-a100", "A100", "nvidia-a100-80gb", 12, 120)
_A100_40GB = _Gpu("lit-a100-40gb", "A100", "nvidia-a100-40gb", 12, 120)
_A100_80GB = _Gpu("lit-a100-80gb", "A100", "nvidia-a100-80gb", 12, 120)
_H100 = _Gpu("lit-h100", "H100", "nvidia-h100-80gb", 24, 200, live_prefix="lit-h100-80gb")
_H200 = _Gpu("lit-h200", "H200", "nvidia-h200-141gb", 24, 250, live_prefix="lit-h200-141gb")
# The list does not have the memory of this one.
_B200 = _Gpu("lit-b200", "B200", "nvidia-b200", 28, 320)
# The SDK has no names for these.
_TPU_V6E = _Gpu("lit-tpu-v6e", "TPU", "tpu-v6e", 44, 176)
_TPU_V5P = _Gpu("lit-tpu-v5p", "TPU", "tpu-v5p", 26, 56)

MACHINES = {
    machine.slug: machine
    for machine in [
        MachineType("cpu-2", "CPU", 2, 2, 8, 0.18, 0.1432821),
        MachineType("cpu-4", "CPU", 4, 4, 16, 0.33, 0.22),
        MachineType("cpu-8", "CPU", 8, 8, 32, 0.51, 0.33),
        MachineType("cpu-16", "CPU", 16, 16, 64, 0.99, 0.54),
        MachineType("data-prep-mid", "DATA-PREP", 32, 32, 128, 1.48),
        MachineType("data-prep-max-large", "DATA-PREP", 64, 64, 256, 2.69),
        MachineType("data-prep-ultra-extra-large", "DATA-PREP", 96, 96, 384, 4.79, 4.511358),
        MachineType("lit-t4-1-small", "T4", 1, 4, 16, 0.55, 0.57744, gpu_type="nvidia-t4-16gb"),
        *_T4.machines((1, 0.69, 0.37063), (4, 3.5, 1.14673), unlisted={2: 1.38, 8: 7.0}),
        *_L4.machines((1, 0.79, 0.7271418), (2, 2.37, 1.9126432), (4, 4.78, 3.4833672), (8, 9.94, 6.919068)),
        *_L40S.machines((1, 2.14, 0.0), (4, 11.86, 7.5846), (8, 33.68, 22.16496), unlisted={2: 4.28}),
        *_RTXP.machines((1, 4.64, 2.74923), (2, 9.41, 5.77621), (4, 18.61, 9.55548), (8, 37.03, 17.09906)),
        *_A100_40GB.machines((1, 2.19, 0.0), (8, 12.384, 0.0), unlisted={2: 4.38, 4: 8.76}),
        *_A100_80GB.machines((1, 5.68, 3.6577344), (2, 11.31, 7.265429), (4, 22.58, 14.480818), (8, 45.11, 28.911594)),
        # Either kind of A100.
        *_A100.machines(unlisted={1: 5.68, 2: 11.31, 4: 22.58, 8: 45.11}),
        *_H100.machines((1, 5.68, 0.0), (2, 24.62, 16.18812), (4, 49.21, 29.63235), (8, 45.47, 0.0)),
        *_H200.machines((1, 4.5, 3.82), (2, 9.0, 7.64), (4, 18.0, 15.28), (8, 36.0, 30.56)),
        *_B200.machines((1, 9.86, 0.0), (8, 78.87, 0.0)),
        *_TPU_V6E.machines((1, 3.05, 1.84316), (4, 12.1, 7.25032), (8, 24.2, 14.50064)),
        *_TPU_V5P.machines((8, 37.73, 9.519409)),
    ]
}


def _names() -> dict[str, str]:
    names = {f"local.{machine.listed_slug}": slug for slug, machine in MACHINES.items()}
    names |= {machine.listed_slug: slug for slug, machine in MACHINES.items()}
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


def slug_of(name: str) -> str | None:
    """Return the slug of a machine by any of its names; None if there is no such machine."""
    slug = _NAMES.get(name, name)
    return slug if slug in MACHINES else None


def use_prices(slug: str, price: float, spot_price: float) -> None:
    """Let a machine have other prices in this process."""
    MACHINES[slug] = replace(MACHINES[slug], price=price, spot_price=spot_price)
