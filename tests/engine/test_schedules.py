"""A scheduled plan runs at its schedule's times, can be changed, and leaves nothing after its deletion."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner
from tests.support.search import files_with

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import ContainerImage, Retry, RunPlan, Schedule, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.limits import serialize_limits
from lightning_native.engine.record.journal import Journal
from lightning_native.errors import PlanError

# Five minutes pass in half a second.
RATE = 600
IMAGE = ContainerImage("registry.example/tool:1", "registry-login")
PRELUDE = """
import json, time
from lightning_native.engine.schedules import find_schedule, list_schedules
from lightning_native.lightning.session import connect
cloud = connect()
scheduled = find_schedule(cloud, "often")
def wait_for(condition):
    deadline = time.monotonic() + 240
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", clock_rate=RATE) as cloud:
        yield cloud


def ask(cloud: LocalCloud, script: str) -> Any:
    # A process of its own, because the SDK reads the address of the cloud only once.
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        env={**os.environ, **cloud.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_plan_runs_on_schedule_until_it_is_paused_replaced_and_deleted(
    cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    runner = Runner(cloud, tmp_path)

    def plan(word: str, cron: str) -> int:
        tell = f'echo "$LIGHTNING_PIPELINE_ID" >>"{runner.results}/$0.{word}"; echo "$0 says $WORD"'
        folder = runner.make(
            "platform",
            StepPlan("first", ("sh", "-c", tell, "first")),
            StepPlan("second", ("sh", "-c", tell + '; test "$(wc -l <tries)" = 2', "second"), ("L4",), ("first",)),
            # The specification of a job in an image is on the drive for every run, and not in a studio's snapshot.
            StepPlan("third", ("sh", "-c", tell, "third"), upstream=("second",), image=IMAGE),
            variables={name: {"WORD": word} for name in ("first", "second", "third")},
            schedule=Schedule("often", cron, "Europe/Zurich"),
        )
        (runner.code / "tries").write_text("1\n2\n")
        return runner.drive(folder)

    (runner.code / "tries").write_text("1\n2\n")
    assert plan("hello", "*/5 * * * *") == 0
    seen = ask(
        cloud,
        """
wait_for(lambda: sum(run.state() == "completed" for run in scheduled.runs()) >= 2)
scheduled.update(paused=True)
runs = scheduled.runs()
wait_for(lambda: all(run.state() != "running" for run in runs))
time.sleep(1.5)
assert len(scheduled.runs()) == len(runs)
print(json.dumps([[run.pipeline_id, run.created, run.state(), run.output("second"), run.output("third")]
                  for run in runs]))
""",
    )
    assert [run[2:] for run in seen] == [["completed", "second says hello\n", "third says hello\n"]] * len(seen)
    ids = [run[0] for run in seen]
    # Each run has run its steps once, and the creation of the schedule has run nothing.
    assert runner.lines("first.hello") == runner.lines("second.hello") == runner.lines("third.hello") == ids
    assert all(round(run[1]) % 300 < RATE for run in seen)
    with Journal() as journal:
        assert journal.open_leases() == []

    # This schedule fires in years; the script below changes it to fire soon.
    assert plan("bye", "0 0 29 2 *") == 0
    left = ask(
        cloud,
        """
assert [each.name for each in list_schedules(cloud)] == ["often"]
assert (scheduled.cron, scheduled.timezone) == ("0 0 29 2 *", "Europe/Zurich")
assert not scheduled.paused and scheduled.runs() == []
scheduled.update(cron="*/7 * * * *", timezone="UTC")
assert (scheduled.cron, scheduled.timezone) == ("*/7 * * * *", "UTC")
wait_for(lambda: any(run.state() == "completed" for run in scheduled.runs()))
before = len(cloud.studio_names())
scheduled.delete()
print(json.dumps([before, cloud.studio_names(), cloud.job_names(), len(list_schedules(cloud))]))
""",
    )
    assert left == [1, [], [], 0]
    assert set(runner.lines("first.hello")) == set(ids)
    assert runner.lines("first.bye")
    kept = [cloud.root / name for name in ("jobs", "drives", "uploads")]
    assert files_with("hello", *kept) == files_with("bye", *kept) == []


def test_a_wrong_time_zone_is_refused_with_the_nearest() -> None:
    steps = (StepPlan("a", ("true",), retry=Retry(1)),)
    plan = RunPlan("r", "run", steps, placement="platform", schedule=Schedule("s", "0 2 * * *", "Europe/Zürich"))
    with pytest.raises(PlanError, match="did you mean Europe/Zurich"):
        check_plan(plan)
    assert RunPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 60.0}, "cannot keep the run's timeout of 60.0 s"),
        ({"max_parallelism": 2}, "cannot keep max_parallelism"),
        ({"machine_limits": (("L4", 1),)}, "cannot keep max_parallelism or machine limits"),
    ],
)
def test_what_no_schedule_can_keep_is_refused(options: dict[str, Any], message: str) -> None:
    plan = RunPlan(
        "r", "run", (StepPlan("a", ("true",)),), placement="platform", schedule=Schedule("s", "0 2 * * *"), **options
    )
    with pytest.raises(PlanError, match=message):
        check_plan(plan)


def test_a_schedule_keeps_limits_where_a_failure_ends_the_run() -> None:
    steps = tuple(StepPlan(name, ("true",)) for name in "abcd")
    schedule = Schedule("s", "0 2 * * *")
    plan = RunPlan("r", "run", steps, "platform", max_parallelism=2, on_failure="stop", schedule=schedule)
    check_plan(plan)
    waits = serialize_limits(plan, {})
    assert waits is not None
    assert sorted(map(len, waits.values())) == [0, 0, 1, 1]
