"""The placements by name, and the capabilities of each.

A caller asks for a capability and never compares a name, so that a new placement is one row here, and one in
`engine/placements/__init__.py` with the functions that carry it out.
"""

from dataclasses import dataclass
from typing import Literal, get_args

PlacementName = Literal["studio", "job", "platform"]
DEFAULT_PLACEMENT: PlacementName = "job"


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a placement.

    Attributes:
        takes_images: steps can run in container images.
        takes_schedule: Lightning itself can run the plan again and again.
        survives_interruption: a step whose machine is interrupted gets another one.
        shares_machines: steps run side by side in studios of the run, rather than each on a machine of its own.
        takes_machines: a step can run on several machines at once, each with a rank.
        takes_disks: a step's machine can have scratch disks, and mounted folders of data connections.
    """

    takes_images: bool = False
    takes_schedule: bool = False
    survives_interruption: bool = False
    shares_machines: bool = False
    takes_disks: bool = False
    takes_machines: bool = False


CAPABILITIES: dict[PlacementName, Capabilities] = {
    "studio": Capabilities(shares_machines=True),
    "job": Capabilities(takes_images=True, survives_interruption=True, takes_disks=True, takes_machines=True),
    "platform": Capabilities(takes_images=True, takes_schedule=True, survives_interruption=True, takes_disks=True),
}
PLACEMENT_NAMES: tuple[PlacementName, ...] = get_args(PlacementName)


def placements_that(capability: str) -> str:
    """Return the placements that have a capability, by name, as a message lists them."""
    return " or ".join(repr(name) for name in PLACEMENT_NAMES if getattr(CAPABILITIES[name], capability))
