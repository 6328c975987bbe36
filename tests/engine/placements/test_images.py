"""Steps in images are jobs like others, and their specifications are deleted."""

import signal
import time

import pytest
from tests.support.runner import Runner
from tests.support.search import files_with

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import ContainerImage, Retry, Setup, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.record.journal import Journal
from lightning_native.errors import PlanError
from lightning_native.placement import PlacementName

IMAGE = ContainerImage("registry.example/tool:1", "registry-login")


def shell(name: str, script: str, *upstream: str, **options: object) -> StepPlan:
    return StepPlan(name, ("sh", "-c", script), upstream=upstream, image=IMAGE, **options)


@pytest.mark.parametrize(("placement", "submission"), [("job", "POST */jobs"), ("platform", "POST */pipelines")])
def test_failures_retries_time_limits_and_secrets_are_as_with_other_jobs(
    runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName, submission: str
) -> None:
    # The request is carried out, but not answered, so the same one is submitted twice.
    lightning_cloud.faults.add("status", match=submission, status=503, after_accept=True, times=1)
    lightning_cloud.faults.add("status", match="POST */artifacts/blobs", status=503, times=1)
    count = runner.results / "count"
    folder = runner.make(
        placement,
        shell("load", f"test ${{#TOKEN}} -eq 12; test -z \"$LIGHTNING_API_KEY\"; echo x >>'{runner.results}/load'"),
        shell("big", "echo $0 in a container", "load", machines=("L4",)),
        StepPlan("beside", ("sh", "-c", "test -f agent.py || echo from a studio"), upstream=("load",)),
        shell("flaky", f"echo x >>'{count}'; test $(wc -l <'{count}') -ge 3", retry=Retry(2)),
        shell("bad", "echo broken; exit 5"),
        shell("never", "true", "bad"),
        shell("slow", "sleep 60", timeout=0.2),
        variables={"load": {"TOKEN": "s3cr3t-t0ken"}},
    )
    assert runner.drive(folder) == 1
    assert runner.states(folder) == {
        **dict.fromkeys(("load", "big", "beside", "flaky"), "succeeded"),
        **dict.fromkeys(("bad", "slow"), "failed"),
        "never": "skipped",
    }
    assert runner.lines("load") == ["x"]
    with Journal() as journal:
        steps = {step.name: step for step in journal.steps(folder.path.name)}
    assert (steps["bad"].exit_code, steps["flaky"].attempt, steps["big"].machine) == (5, 3, "L4")
    assert "timed out after 0.2 s" in steps["slow"].message
    assert folder.log("bad").read_text() == "broken\n"
    kept = [lightning_cloud.root / name for name in ("jobs", "drives", "uploads")]
    assert files_with("s3cr3t-t0ken", folder.path.parents[1], *kept) == []


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_a_machine_that_is_taken_away_gets_what_it_is_to_run_again(
    runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName
) -> None:
    # Late enough for the step to have begun on a busy computer.
    lightning_cloud.faults.add("interrupt", seconds=3.0, times=1)
    count = f"{runner.results}/count"
    script = f"echo x >>'{count}'; test $(wc -l <'{count}') -ge 2 || sleep 600"
    folder = runner.make(placement, shell("count", script, interruptible=True))
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x", "x"]


@pytest.mark.parametrize(
    ("placement", "moment"),
    [
        ("job", "after upload_to_drive 2"),
        ("job", "after run_job 1"),
        ("job", "before run_job 2"),
        ("job", "after output 1"),
        ("job", "before remove_from_drive 1"),
        ("platform", "after upload_to_drive 3"),
        ("platform", "after create_pipeline 1"),
        ("platform", "before remove_from_drive 1"),
    ],
)
def test_a_run_in_images_whose_controller_was_killed_is_resumed_and_repeats_nothing(
    runner: Runner, placement: PlacementName, moment: str
) -> None:
    folder = runner.make(
        placement,
        shell("one", f"echo one >>'{runner.results}/one'; sleep 0.3"),
        shell("two", f"echo two >>'{runner.results}/two'; sleep 0.3", "one", machines=("L4",)),
    )
    assert runner.drive(folder, moment) == -signal.SIGKILL
    time.sleep(0.2)
    assert runner.drive(folder) == 0
    assert [runner.lines(name) for name in ("one", "two")] == [["one"], ["two"]]


@pytest.mark.parametrize(
    ("options", "placement", "words"),
    [
        ({}, "studio", "needs placement 'job' or 'platform', not 'studio'"),
        ({"image": ContainerImage(" ")}, "job", "an image without a name"),
        ({"requirements": (("r.txt", "numpy"),)}, "job", "nothing can be installed"),
        ({"setup": Setup(packages=("git",))}, "job", "nothing can be installed"),
    ],
)
def test_what_an_image_cannot_be_is_refused(options: dict[str, object], placement: str, words: str) -> None:
    from lightning_native.engine.plan import RunPlan

    plan = RunPlan("r", "engine test", (StepPlan("a", ("true",), **{"image": IMAGE, **options}),), placement=placement)
    with pytest.raises(PlanError, match=words):
        check_plan(plan)
    assert RunPlan.from_json(plan.to_json()) == plan
