"""The same plan gives the same results with every placement."""

import signal
import time

import pytest
from tests.support.runner import Runner
from tests.support.search import files_with

from lightning_native.emulator import LocalCloud
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.placement import PlacementName


def shell(name: str, script: str, *upstream: str, **options: object) -> StepPlan:
    return StepPlan(name, ("sh", "-c", script), upstream=upstream, **options)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_order_output_environment_failures_and_retries(runner: Runner, placement: PlacementName) -> None:
    (runner.code / "my tool.sh").write_text(f'echo "$1 $VALUE"; echo "$1" >>"{runner.results}/order"\n')
    count = runner.results / "count"
    folder = runner.make(
        placement,
        shell("load", "sh 'my tool.sh' load"),
        shell("left", "sh 'my tool.sh' left", "load", machines=("L4",)),
        shell("right", "sh 'my tool.sh' right", "load"),
        shell("join", "sh 'my tool.sh' join", "left", "right"),
        shell("flaky", f"echo x >>'{count}'; test $(wc -l <'{count}') -ge 3", retry=Retry(2)),
        shell("bad", "echo broken; exit 5"),
        shell("never", "sh 'my tool.sh' never", "bad"),
        shell("slow", "sleep 60", timeout=0.2),
        shell("raises", "python -c 'raise ValueError(1 / 8)'; exit 1"),
        shell("leaks", 'echo "no $TOKEN"; exit 1'),
        shell("killed", "kill -9 $$"),
        variables={
            **{name: {"VALUE": 'it\'s "$HOME"'} for name in ("load", "left", "right", "join")},
            "leaks": {"TOKEN": "s3cr3t"},
        },
    )
    assert runner.drive(folder) == 1
    assert runner.states(folder) == {
        **dict.fromkeys(("load", "left", "right", "join", "flaky"), "succeeded"),
        **dict.fromkeys(("bad", "slow", "raises", "leaks", "killed"), "failed"),
        "never": "skipped",
    }
    order = runner.lines("order")
    assert order[0] == "load"
    assert sorted(order[1:3]) == ["left", "right"]
    assert order[3:] == ["join"]
    with Journal() as journal:
        steps = {step.name: step for step in journal.steps(folder.path.name)}
    assert (steps["bad"].exit_code, steps["flaky"].attempt) == (5, 3)
    assert steps["slow"].message == "timed out after 0.2 s (step_timeout)"
    assert steps["bad"].message == "its command ended with exit code 5; its last line: broken"
    assert steps["raises"].message == "its command ended with exit code 1: ValueError: 0.125"
    assert steps["leaks"].message == "its command ended with exit code 1; its last line: no ***"
    assert steps["killed"].message.startswith("killed (SIGKILL); it had used ")
    assert steps["killed"].message.endswith(" GB")
    assert steps["left"].machine == "L4"
    assert all(step.cost is not None for step in steps.values() if step.started)
    assert folder.log("left").read_text() == 'left it\'s "$HOME"\n'
    assert folder.log("bad").read_text() == "broken\n"


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_no_secret_is_left_anywhere(runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName) -> None:
    folder = runner.make(placement, shell("use", "test ${#TOKEN} -eq 12"), variables={"use": {"TOKEN": "s3cr3t-t0ken"}})
    assert runner.drive(folder) == 0
    assert files_with("s3cr3t-t0ken", folder.path.parents[1], lightning_cloud.root) == []


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_runs_limit_ends_running_steps_and_starts_no_other(runner: Runner, placement: PlacementName) -> None:
    folder = runner.make(placement, shell("long", "echo up; sleep 600"), shell("after", "true", "long"), timeout=6.0)
    process = runner.start(folder)
    assert process.wait(timeout=240) == 1
    # On a busy machine the time is up before the step has begun.
    long = "failed" if folder.log("long").exists() else "skipped"
    assert runner.states(folder) == {"long": long, "after": "skipped"}
    with Journal() as journal:
        record = journal.run(folder.path.name)
        steps = journal.steps(folder.path.name)
    assert record is not None
    # A limit is no wish to stop.
    assert (record.state, record.message) == ("failed", "timed out after 6 s (run_timeout)")
    assert {step.message for step in steps} == {record.message}


def test_an_environment_is_prepared_once_and_a_changed_one_anew(runner: Runner) -> None:
    def run(*requirements: tuple[str, str]) -> str:
        folder = runner.make("job", shell("a", "true", requirements=requirements))
        assert runner.drive(folder) == 0
        return " ".join(path.name for path in (folder.path / "logs").iterdir())

    assert "setup-env-" in run(("r.txt", "packaging"))
    assert "setup-env-" not in run(("r.txt", "packaging  # the same"))
    assert "setup-env-" in run(("r.txt", "pytest"))


@pytest.mark.spread(4)
@pytest.mark.parametrize(
    ("placement", "moment"),
    [
        ("studio", moment)
        for moment in (
            "before create_studio 1",
            "after create_studio 1",
            "before start 1",
            "after start 1",
            "before upload 1",
            "after upload 2",
            "before run 2",
            "after run 3",
            "after run 4",
            "before release 1",
            "after release 1",
        )
    ]
    + [
        ("job", moment)
        for moment in (
            "after create_studio 1",
            "before release 1",
            "after release 1",
            "before run_job 1",
            "after run_job 1",
            "before remove 1",
            "after state 2",
            "before run_job 2",
            "before cost 1",
            "after release 2",
        )
    ]
    + [
        ("platform", moment)
        for moment in (
            "after find_pipeline 1",
            "before create_pipeline 1",
            "after create_pipeline 1",
            "after status 1",
            "after output 2",
            "before cost 3",
            "before remove 1",
        )
    ],
)
def test_a_run_whose_controller_was_killed_is_resumed_and_repeats_nothing(
    runner: Runner, placement: PlacementName, moment: str
) -> None:
    folder = runner.make(
        placement,
        shell("one", f"echo one >>'{runner.results}/one'; sleep 0.3"),
        shell("two", f"echo two >>'{runner.results}/two'; sleep 0.3", "one", machines=("L4",)),
        shell("three", f"echo three >>'{runner.results}/three'", "two"),
    )
    assert runner.drive(folder, moment) == -signal.SIGKILL
    time.sleep(0.2)
    assert runner.drive(folder) == 0
    assert runner.states(folder) == dict.fromkeys(("one", "two", "three"), "succeeded")
    for name in ("one", "two", "three"):
        assert runner.lines(name) == [name]
