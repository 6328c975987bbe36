"""Steps on a cloud whose accounts differ, as the platform's do: each runs on a machine that its account has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.runner import Runner, own_runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.placement import PlacementName

AWS, BARE_METAL = "lightning-public-prod", "lightning-baremetal"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    parts = {"accounts": True, "missing_gpu_is_cpu": True}
    with LocalCloud(tmp_path_factory.mktemp("cloud"), parts=parts) as cloud:
        yield cloud


@pytest.fixture
def runner(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    yield from own_runner(cloud, tmp_path, monkeypatch)
    cloud.faults.clear()


def step(runner: Runner, *machines: str) -> StepPlan:
    """Return a step that writes the cloud account of its machine."""
    script = f"echo $LIGHTNING_CLUSTER_ID >>'{runner.results / 'account'}'"
    return StepPlan("train", ("sh", "-c", script), machines=machines)


def ended_on(folder: RunFolder) -> tuple[str, str | None]:
    """Return the state and the machine of the only step."""
    with Journal() as journal:
        (record,) = journal.steps(folder.path.name)
    return record.state, record.machine


def events(folder: RunFolder) -> str:
    with Journal() as journal:
        return "\n".join(event.text for event in journal.events(folder.path.name))


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_step_runs_on_the_account_that_has_its_machine(runner: Runner, placement: PlacementName) -> None:
    folder = runner.make(placement, step(runner, "H100"))
    assert runner.drive(folder) == 0
    assert (runner.lines("account"), ended_on(folder)) == ([BARE_METAL], ("succeeded", "H100"))


def test_a_controller_in_a_studio_of_another_account_submits_to_the_right_one(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every studio has this variable, and the SDK takes it for the account of its jobs.
    monkeypatch.setenv("LIGHTNING_CLUSTER_ID", AWS)
    folder = runner.make("job", step(runner, "H100"))
    assert runner.drive(folder) == 0
    assert runner.lines("account") == [BARE_METAL]


@pytest.mark.parametrize(
    ("placement", "reason"),
    [("job", "accelerator lit-h100-1 not found for this AWS cluster"), ("studio", "but it came up on CPU")],
)
def test_a_machine_that_an_account_lacks_leads_to_the_next_one(
    runner: Runner, placement: PlacementName, reason: str
) -> None:
    folder = runner.make(placement, step(runner, "H100", "L4"), cloud_account=AWS)
    assert runner.drive(folder) == 0
    assert (runner.lines("account"), ended_on(folder)) == ([AWS], ("succeeded", "L4"))
    assert reason in events(folder)
    assert "trying the next machine" in events(folder)


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_a_next_machine_of_another_account_is_had_there(runner: Runner, placement: PlacementName) -> None:
    # No account has the first one, so that Lightning's default account is asked for it.
    folder = runner.make(placement, step(runner, "T4_X_2", "H100"))
    assert runner.drive(folder) == 0
    assert (runner.lines("account"), ended_on(folder)) == ([BARE_METAL], ("succeeded", "H100"))


def test_a_step_for_a_gpu_never_runs_on_a_cpu(runner: Runner) -> None:
    folder = runner.make("studio", step(runner, "H100"), cloud_account=AWS)
    assert runner.drive(folder) == 1
    assert runner.lines("account") == []
    with Journal() as journal:
        (record,) = journal.steps(folder.path.name)
    assert record.state == "failed"
    assert "was started on H100, but it came up on CPU" in record.message


def test_an_environment_for_an_account_without_the_main_machine_is_set_up_on_a_cpu(runner: Runner) -> None:
    # The main machine, on which environments are set up, is in another account than the step's.
    folder = runner.make("job", step(runner, "H100"), main_machine="T4")
    assert runner.drive(folder) == 0
    assert runner.lines("account") == [BARE_METAL]
    assert "is set up on the default machine" in events(folder)


def test_an_interruptible_machine_is_asked_for_only_where_it_is_cheaper(runner: Runner, cloud: LocalCloud) -> None:
    # The fault interrupts jobs on interruptible machines alone.
    cloud.faults.add("interrupt", seconds=0.5, times=1)
    command = ("sh", "-c", f"echo x >>'{runner.results / 'count'}'; sleep 2")
    folder = runner.make("job", StepPlan("train", command, machines=("T4_SMALL",), interruptible=True))
    assert runner.drive(folder) == 0
    assert runner.lines("count") == ["x"]
    assert "T4_SMALL costs $0.58 an hour so; it is asked for on demand, at $0.55" in events(folder)


def test_a_studio_of_the_users_on_another_account_is_refused_with_words(runner: Runner) -> None:
    named = f"mine-{runner.results.parent.name[-20:].lower().replace('_', '-')}"
    first = runner.make("studio", step(runner), main_studio=named)
    assert runner.drive(first) == 0
    second = runner.make("studio", step(runner), main_studio=named, cloud_account=BARE_METAL)
    assert runner.drive(second) == 1
    with Journal() as journal:
        (record,) = journal.steps(second.path.name)
    assert f"is on cloud account {AWS} for ever, and the plan names {BARE_METAL}" in record.message
