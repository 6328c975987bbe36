"""Shapes of Oracle as machines of Lightning, with their differences."""

import re
from collections.abc import Mapping
from typing import Any

from lightning_native.errors import JobError

# The machine with the same number of GPUs and the same memory of each.
_GPU_SHAPES = {
    "VM.GPU.A10.1": "L4", "VM.GPU.A10.2": "L4_X_2", "BM.GPU.A10.4": "L4_X_4",
    "VM.GPU2.1": "T4", "BM.GPU2.2": "T4_X_2",
    "VM.GPU3.1": "T4", "VM.GPU3.2": "T4_X_2", "VM.GPU3.4": "T4_X_4", "VM.GPU3.8": "T4_X_8", "BM.GPU3.8": "T4_X_8",
    "BM.GPU4.8": "A100_40GB_X_8", "BM.GPU.B4.8": "A100_40GB_X_8", "BM.GPU.A100-V2.8": "A100_80GB_X_8",
    "BM.GPU.H100.8": "H100_X_8", "BM.GPU.H200.8": "H200_X_8", "BM.GPU.B200.8": "B200_X_8",
    "BM.GPU.L40S.4": "L40S_X_4", "BM.GPU.L40S-NC.4": "L40S_X_4",
}  # fmt: skip
_NOT_THE_SAME = {
    "L4": "an L4 has the memory of an A10, but about half of its bandwidth",
    "T4": "a T4 has the memory of a {gpu}, but is slower in double precision",
}
_CPU_MACHINES = {
    2: "CPU_X_2", 4: "CPU_X_4", 8: "CPU_X_8", 16: "CPU_X_16",
    32: "DATA_PREP", 64: "DATA_PREP_MAX", 96: "DATA_PREP_ULTRA",
}  # fmt: skip
_CPU_SHAPE = re.compile(r"(?:VM|BM)\.(?:Standard|DenseIO|Optimized|HPC)[\w.]*?\.(?P<ocpus>\d+|Flex)", re.IGNORECASE)
_VCPUS_OF_OCPU = 2


def machine_of_shape(name: str, details: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the machine for a shape, and their differences.

    Args:
        name: the shape, such as `VM.GPU.A10.1`.
        details: the size of a flexible shape, `{ocpus, memoryInGBs}`.

    Raises:
        JobError: Lightning has no such machine.
    """
    if machine := _GPU_SHAPES.get(name.upper()):
        kind = machine.split("_X_")[0]
        if kind not in _NOT_THE_SAME:
            return machine, []
        gpu = "P100" if "GPU2" in name.upper() else "V100"
        return machine, [f"{name} runs as {machine}: {_NOT_THE_SAME[kind].format(gpu=gpu)}"]
    match = _CPU_SHAPE.fullmatch(name)
    if match is None:
        known = ", ".join(_GPU_SHAPES)
        raise JobError(f"Lightning has nothing like the shape {name}; name a machine instead (mapped are: {known})")
    return _cpu_machine(name, match["ocpus"], details)


def _cpu_machine(name: str, ocpus: str, details: Mapping[str, Any]) -> tuple[str, list[str]]:
    wanted = details.get("ocpus") or 1 if ocpus.lower() == "flex" else int(ocpus)
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        raise JobError(f"ocpus of the shape {name} is {wanted!r}; write a number")
    # An Arm core has one thread.
    arm = ".A1." in name.upper() or ".A2." in name.upper()
    vcpus = wanted if arm else wanted * _VCPUS_OF_OCPU
    machine = next((machine for count, machine in _CPU_MACHINES.items() if count >= vcpus), None)
    if machine is None:
        raise JobError(f"Lightning has no machine with {vcpus:g} CPUs ({name}); the largest has {max(_CPU_MACHINES)}")
    warnings = []
    if arm:
        warnings.append(f"{name} is an Arm machine and {machine} is not: code built for Arm does not run")
    if vcpus not in _CPU_MACHINES:
        warnings.append(f"{name} with {vcpus:g} CPUs runs as {machine}, which has more")
    if details.get("memoryInGBs"):
        warnings.append(f"memory cannot be asked for: {machine} has what it has, not {details['memoryInGBs']} GB")
    return machine, warnings
