"""The machines that a step or a pipeline asks for: by name, or by ZenML's resource settings."""

from collections.abc import Sequence

from zenml.config import ResourceSettings

from lightning_native.engine.planning.machine_choice import (
    MachineOffer,
    ResourceRequest,
    cheapest,
    gpu_kinds,
    known_gpu,
)
from lightning_native.errors import PlanError
from lightning_native.zenml.compat import gpu_class_of, pool_demands
from lightning_native.zenml.config import LightningNativeStepSettings

# As many machines are tried for a request as people name by hand.
_MOST_FALLBACKS = 3


def resource_request(subject: str, resources: ResourceSettings) -> ResourceRequest | None:
    """Return the resources that a machine must have; None: the settings name none.

    Raises:
        PlanError: the settings ask for a resource that Lightning does not have.
    """
    demands = pool_demands(resources)
    gpu_class = gpu_class_of(resources)
    if demands:
        names = ", ".join(str(demand.name or demand.kind or demand.class_name) for demand in demands)
        raise PlanError(
            f"{subject}: ResourceSettings.resources asks for {names} of a resource pool, which steps on Lightning are "
            "not taken from; say cpu_count, memory, gpu_count and gpu_class, or name a machine in the settings"
        )
    if gpu_class is not None and not known_gpu(gpu_class):
        raise PlanError(
            f"{subject}: ResourceSettings.gpu_class is {gpu_class!r}, which Lightning does not offer; "
            f"the kinds are {', '.join(gpu_kinds())}"
        )
    wanted = (resources.cpu_count, resources.memory, resources.gpu_count, gpu_class)
    if all(value is None for value in wanted):
        return None
    return ResourceRequest(
        gpus=resources.gpu_count,
        gpu_type=gpu_class,
        cpus=resources.cpu_count,
        memory_gb=resources.get_memory("GiB"),
    )


def step_machine(
    step: str,
    settings: LightningNativeStepSettings,
    resources: ResourceSettings,
    pipeline_settings: LightningNativeStepSettings,
    pipeline_resources: ResourceSettings,
) -> tuple[tuple[str, ...], ResourceRequest | None]:
    """Return the machines a step names, or else the request that machines are to be found for.

    The step's own choice has precedence over the one that it inherits from its pipeline.

    Raises:
        PlanError: the step itself, or the pipeline, has both.
    """
    machines = settings.preferred_machines()
    request = resource_request(f"step {step!r}", resources)
    if not machines or request is None:
        return machines, request
    own_machines = machines != pipeline_settings.preferred_machines()
    own_request = request != resource_request("the pipeline", pipeline_resources)
    if own_machines == own_request:
        raise PlanError(
            f"step {step!r} asks for machine {machines[0]} and, in its ResourceSettings, for {request}; "
            "remove one of them"
        )
    return (machines, None) if own_machines else ((), request)


def choose_machines(
    subject: str,
    request: ResourceRequest,
    offers: Sequence[MachineOffer],
    settings: LightningNativeStepSettings,
    *,
    interruptible: bool = False,
) -> tuple[str, ...]:
    """Return the cheapest machines for a request, the cheapest first, of the settings' cloud account if they name one.

    Raises:
        PlanError: no machine has these resources; the message begins with `subject`.
    """
    try:
        found = cheapest(request, offers, interruptible=interruptible, cloud_account=settings.cloud_account)
        return tuple(found[:_MOST_FALLBACKS])
    except PlanError as error:
        raise PlanError(f"{subject}: {error}") from error
