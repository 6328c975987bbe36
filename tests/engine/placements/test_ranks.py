"""A step on several machines: each has its rank, and the result is that of rank 0."""

from tests.support.runner import Runner

from lightning_native.engine.plan import StepPlan
from lightning_native.engine.record.costs import costs_of
from lightning_native.engine.record.journal import Journal

# Rank 0 waits for the others, and each says what it knows.
MEET = """
import os, sys, time, pathlib
rank, count, place = int(os.environ["NODE_RANK"]), int(os.environ["NUM_NODES"]), pathlib.Path(sys.argv[1])
(place / f"rank-{rank}").touch()
while len(list(place.glob("rank-*"))) < count:
    time.sleep(0.05)
print(f"rank {rank} of {count}")
if rank == 1 and len(sys.argv) > 2:
    raise ValueError("a bad batch")
if rank == 0 and len(sys.argv) > 2:
    time.sleep(600)
"""


def test_a_step_runs_on_several_machines_and_one_that_fails_ends_all(runner: Runner) -> None:
    (runner.code / "meet.py").write_text(MEET)
    places = [runner.results / name for name in ("good", "bad")]
    for place in places:
        place.mkdir()
    good, bad = (
        StepPlan(place.name, ("python", "meet.py", str(place), *extra), num_machines=2)
        for place, extra in zip(places, ((), ("fails",)), strict=True)
    )
    folder = runner.make("job", good, bad)
    assert runner.drive(folder) == 1
    assert runner.states(folder) == {"good": "succeeded", "bad": "failed"}
    assert folder.log("good").read_text() == "rank 0 of 2\n"
    assert "[machine 1] ValueError: a bad batch\n" in folder.log("bad").read_text()
    with Journal() as journal:
        steps = {step.name: step for step in journal.steps(folder.path.name)}
        hourly = {record.kind: record.hourly or 0.0 for record in costs_of(journal, folder.path.name)}
    assert steps["bad"].message == "machine 1 of 2: its command ended with exit code 1: ValueError: a bad batch"
    # Two machines cost twice as much as the one of the template studio.
    assert hourly["job"] == 2 * hourly["studio"]
