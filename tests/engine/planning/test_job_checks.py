"""Disks, mounted folders and machines are in the job, or in an error that names the setting."""

from typing import Any
from uuid import uuid4

import pytest
from tests.support.runner import Runner

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.errors import PlanError
from lightning_native.lightning.session import connect
from lightning_native.placement import PlacementName


@pytest.mark.parametrize(
    ("placement", "options", "words"),
    [
        ("studio", {"scratch_disks": (("a", 1),)}, "scratch_disks, which needs placement 'job' or 'platform', not 'st"),
        ("studio", {"path_mappings": (("/a", "b"),)}, "path_mappings, which needs placement 'job' or 'platform'"),
        (
            "job",
            {"scratch_disks": (("../a", 1),)},
            "write a name such as 'data', which is then /teamspace/scratch/data",
        ),
        ("job", {"scratch_disks": (("a", 0),)}, "write gigabytes above 0"),
        ("platform", {"path_mappings": (("data", "b"),)}, "write the absolute path"),
        ("platform", {"path_mappings": (("/a/../b", "b"),)}, "write the absolute path"),
        ("studio", {"num_machines": 2}, "num_machines 2, which needs placement 'job', not 'studio'"),
        ("platform", {"num_machines": 2}, "num_machines 2, which needs placement 'job', not 'platform'"),
        ("job", {"num_machines": 0}, "num_machines 0; it is between 1 and 64"),
        ("job", {"num_machines": 2, "scratch_disks": (("a", 1),)}, "num_machines 2 and scratch_disks; it can have one"),
        ("job", {"path_mappings": (("/a", ":"),)}, "write the name of a data connection"),
    ],
)
def test_what_no_machine_can_have_is_refused(placement: PlacementName, options: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match="step 'a' .*" + words):
        check_plan(RunPlan("r", "r", (StepPlan("a", ("true",), **options),), placement=placement))


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_a_step_has_its_disks_and_folders(runner: Runner, placement: PlacementName) -> None:
    name = uuid4().hex
    mount = f"/tmp/{name}"  # noqa: S108  the only place for mounts in the local cloud
    (runner.code / "given").write_text("given")
    cloud = connect()
    cloud.upload_to_drive(runner.code / "given", f"{name}/given")
    step = StepPlan(
        "a",
        ("sh", "-c", f"echo kept >/teamspace/scratch/fast/file && cat {mount}/given"),
        scratch_disks=(("fast", 5),),
        path_mappings=((mount, f"lightning-native:{name}"),),
    )
    folder = runner.make(placement, step)
    assert runner.drive(folder) == 0
    assert folder.log("a").read_text() == "given"
    cloud.remove_from_drive(name)
