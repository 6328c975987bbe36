"""Faults at Lightning neither repeat a step nor end a healthy one."""

from collections.abc import Iterator

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.leases import collect_garbage, dead_leases
from lightning_native.engine.plan import Retry, Setup, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.left_over import left_over
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.placement import PlacementName

pytestmark = pytest.mark.spread(4)


@pytest.fixture
def cloud(lightning_cloud: LocalCloud) -> Iterator[LocalCloud]:
    yield lightning_cloud
    lightning_cloud.faults.clear()


def counting(runner: Runner, name: str = "count", seconds: float = 1.0, **options: object) -> StepPlan:
    script = f"echo x >>'{runner.results}/{name}'; sleep {seconds}; echo done"
    return StepPlan(name, ("sh", "-c", script), **options)


def events(folder: RunFolder) -> str:
    with Journal() as journal:
        return " | ".join(event.text for event in journal.events(folder.path.name))


@pytest.mark.parametrize(
    ("placement", "match", "times"),
    [
        ("studio", "POST */execute", 3),
        ("studio", "POST */cloudspaces", 1),
        ("studio", "PUT /storage/*", 1),
        ("studio", "DELETE */cloudspaces/*", 1),
        ("job", "POST */jobs", 1),
        ("job", "DELETE */jobs/*", 1),
        ("platform", "POST */pipelines", 1),
        ("platform", "DELETE */pipelines/*", 1),
    ],
)
def test_a_request_that_is_carried_out_but_answered_with_503_runs_the_step_once(
    runner: Runner, cloud: LocalCloud, placement: PlacementName, match: str, times: int
) -> None:
    cloud.faults.add("status", match=match, status=503, after_accept=True, times=times)
    folder = runner.make(placement, counting(runner))
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x"]
    assert folder.log("count").read_text() == "done\n"


@pytest.mark.parametrize(
    ("placement", "match"),
    [
        ("studio", "GET */stream"),
        ("studio", "GET */codestatus"),
        ("job", "GET */jobs/*"),
        ("platform", "GET */pipelines/*"),
        ("platform", "GET */page-logs*"),
    ],
)
def test_failing_status_calls_do_not_end_or_repeat_a_healthy_step(
    runner: Runner, cloud: LocalCloud, placement: PlacementName, match: str
) -> None:
    folder = runner.make(placement, counting(runner, seconds=4))
    process = runner.start(folder)
    runner.wait_for("count")
    cloud.faults.add("status", match=match, status=500, times=6)
    assert process.wait(timeout=360) == 0
    assert runner.lines("count") == ["x"]


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_machine_that_is_not_to_be_had_is_replaced_by_the_next_one(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    cloud.faults.add("out-of-capacity", machine="lit-l4-1", times=0)
    folder = runner.make(placement, counting(runner, machines=("L4", "T4")), pending_timeout=1.0)
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x"]
    assert "trying the next machine" in events(folder)


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_an_interruptible_job_that_is_reclaimed_is_run_again_without_counting(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    # Late enough for the step to have begun on a busy computer.
    cloud.faults.add("interrupt", seconds=3.0, times=1)
    count = runner.results / "count"
    script = f"echo x >>'{count}'; test $(wc -l <'{count}') -ge 2 || sleep 600"
    folder = runner.make(placement, StepPlan("count", ("sh", "-c", script), interruptible=True))
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x", "x"]
    assert "interrupted" in events(folder)


def test_a_studio_that_dies_under_a_step_fails_it_with_the_reason(runner: Runner, cloud: LocalCloud) -> None:
    folder = runner.make("studio", counting(runner, seconds=600))
    process = runner.start(folder)
    runner.wait_for("count")
    cloud.faults.add("studio-dies")
    assert process.wait(timeout=360) == 1
    with Journal() as journal:
        (step,) = journal.steps(folder.path.name)
    assert step.state == "failed"
    assert "studio" in step.message


@pytest.mark.parametrize("placement", ["studio", "job"])
@pytest.mark.parametrize("kind", ["boot-fails", "boot-hangs"])
def test_a_studio_that_does_not_boot_is_replaced(
    runner: Runner, cloud: LocalCloud, placement: PlacementName, kind: str
) -> None:
    cloud.faults.add(kind)
    # Requirements of its own, so that the template studio is a new one.
    step = counting(runner, setup=Setup(commands=(f"echo {kind}",)))
    folder = runner.make(placement, step, boot_timeout=5.0)
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x"]
    assert "another studio replaces it" in events(folder)


def test_a_studio_that_dies_under_a_step_is_replaced_for_its_next_attempt(runner: Runner, cloud: LocalCloud) -> None:
    script = f"echo x >>'{runner.results}/count'; test $(wc -l <'{runner.results}/count') -ge 2 || sleep 600"
    folder = runner.make("studio", StepPlan("count", ("sh", "-c", script), retry=Retry(1)))
    process = runner.start(folder)
    runner.wait_for("count")
    cloud.faults.add("studio-dies")
    assert process.wait(timeout=360) == 0
    assert runner.lines("count") == ["x", "x"]
    assert "is lost; another one replaces it" in events(folder)


def test_a_key_that_is_refused_from_now_on_ends_the_run_and_names_what_is_left(
    runner: Runner, cloud: LocalCloud
) -> None:
    folder = runner.make("job", counting(runner, seconds=600))
    process = runner.start(folder)
    runner.wait_for("count")
    cloud.faults.add("expired-key", times=0)
    assert process.wait(timeout=200) == 1
    cloud.faults.clear()
    with Journal() as journal:
        (step,) = journal.steps(folder.path.name)
        left = left_over(journal, folder.path.name)
        assert step.state == "failed"
        assert "the API key" in step.message
        assert left.startswith("job ")
        assert "release it with: lightning-native gc" in left
        collect_garbage(journal, connect(), dead_leases(journal, cloud_name()))


@pytest.mark.parametrize("placement", ["job", "platform"])
def test_a_stop_is_asked_for_until_lightning_takes_it(
    runner: Runner, cloud: LocalCloud, placement: PlacementName
) -> None:
    # More often than the SDK repeats a request.
    cloud.faults.add("status", match=f"PUT */{'jobs' if placement == 'job' else 'pipelines'}/*", times=8)
    slow = counting(runner, "slow", seconds=600)
    fails = StepPlan("fails", ("sh", "-c", f"until test -e '{runner.results}/slow'; do sleep 0.1; done; exit 3"))
    folder = runner.make(placement, slow, fails, on_failure="fail_fast")
    assert runner.drive(folder) == 1
    assert runner.states(folder) == {"slow": "stopped", "fails": "failed"}
    assert "waiting for Lightning to stop" in events(folder)
