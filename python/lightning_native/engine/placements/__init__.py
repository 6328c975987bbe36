"""The placements: the ways in which the steps of a plan run, each in a module of its own."""

from lightning_native.engine.placements.base import Address, PlacementKind
from lightning_native.engine.placements.job import JobPlacement
from lightning_native.engine.placements.platform import follow_pipeline
from lightning_native.engine.placements.studio import StudioPlacement
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.layout import studio_of
from lightning_native.engine.resource_names import job_name, pipeline_name
from lightning_native.placement import PlacementName

__all__ = ["PLACEMENTS", "address_of"]

PLACEMENTS: dict[PlacementName, PlacementKind] = {
    "studio": PlacementKind(
        address=lambda plan, step: Address("studio", studio_of(plan, step)),
        run=lambda context, _settle, _done, execute: execute(StudioPlacement(context)),
    ),
    "job": PlacementKind(
        address=lambda plan, step: Address("job", job_name(plan, step, 1)),
        run=lambda context, _settle, _done, execute: execute(JobPlacement(context)),
    ),
    "platform": PlacementKind(
        address=lambda plan, _step: Address("pipeline", pipeline_name(plan)),
        run=lambda context, settle, done, _execute: follow_pipeline(context, settle, done),
    ),
}


def address_of(plan: RunPlan, step: str) -> Address:
    """Return the address of a step of a plan."""
    return PLACEMENTS[plan.placement].address(plan, step)
