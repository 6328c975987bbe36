"""A run one of whose processes is killed at a named point comes to rest by `resume`, `gc` or by itself.

All points: `make kills`, which prints what was found after each. Otherwise a few of them, others every day.
"""

import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.bench import Bench
from tests.support.killing.points import POINTS, Point
from tests.support.killing.processes import kill_all

SITE = Path(__file__).parents[1] / "support" / "killing" / "site"
# Each test waits for as long as the machine takes; this is for a hang.
LIMIT = 400.0

Record = Callable[[str, object], None]


@pytest.fixture
def bench(point: Point, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    home, environ = (tmp_path / "home", {}) if point.role == "cloud" else request.getfixturevalue("shared")
    home.mkdir(exist_ok=True)
    bench = Bench({**clean, "LIGHTNING_NATIVE_HOME": str(home)}, environ, tmp_path)
    yield bench
    if point.role == "cloud":
        kill_all(home)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.spread(len(POINTS) // 4)
@pytest.mark.parametrize("point", [pytest.param(point, id=point.name) for point in POINTS])
def test_a_kill_leaves_a_run_that_comes_to_rest(point: Point, bench: Bench, record_property: Record) -> None:
    results = bench.folder / "results"
    results.mkdir()
    steps = "{one: {command: \"echo x >>'ONE'; sleep 0.3\"}, two: {command: \"echo x >>'TWO'\", needs: one}}"
    steps = steps.replace("ONE", str(results / "one")).replace("TWO", str(results / "two"))
    workflow = bench.write(f"{{name: kills, placement: {point.placement}, steps: {steps}}}")
    marker = bench.folder / "died"
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    with bench.start("run", workflow, "--local", PYTHONPATH=path, **point.variable(marker)) as process:
        home = Path(bench.environment["LIGHTNING_NATIVE_HOME"])
        if point.role == "cloud":
            wait_until(lambda: marker.exists() or process.poll() is not None)
            kill_all(home)
        output, errors = process.communicate(timeout=LIMIT)
    assert marker.exists(), f"no process came to the point\n{output}{errors}"
    run_id = run_of(bench, errors)
    found, way = come_to_rest(bench, point, run_id)
    record_property("kill", (point.name, found, way))
    if run_id is None:
        assert not any(results.iterdir())
        return
    with bench.journal() as journal:
        record = journal.run(run_id)
        assert record is not None
        assert record.state != "running"
        states = {step.name: step.state for step in journal.steps(run_id)}
    times = {name: len((results / name).read_text().split()) if (results / name).exists() else 0 for name in states}
    assert all(count <= 1 for count in times.values()), times
    assert all(times[name] == 1 for name, state in states.items() if state == "succeeded"), (states, times)
    # The run tells what its steps tell.
    assert (record.state == "completed") == (set(states.values()) == {"succeeded"}), (record, states)
    with_cloud = [] if point.role == "cloud" else [bench.assert_nothing_left]
    for check in with_cloud:
        check(run_id)
    with bench.journal() as journal:
        assert [lease.name for lease in journal.leases(run_id) if lease.released is None] == []
    assert not list((home / "runs" / run_id).glob("environments.json"))


def run_of(bench: Bench, errors: str) -> str | None:
    """Return the id of the run, from the journal: a client that dies early has not printed it."""
    with bench.journal() as journal:
        running = [record.run_id for record in journal.running()]
        if match := re.search(r"^run (\w+) of kills", errors, re.MULTILINE):
            running += [record.run_id for record in journal.runs_like(match[1])]
    return running[0] if running else None


def come_to_rest(bench: Bench, point: Point, run_id: str | None) -> tuple[str, str]:
    """Bring a run to rest; return what was found after the kill, and the way."""
    if run_id is None:
        return "nothing", "nothing had begun"
    code, output, errors = bench.call("runs", "show", run_id, "--json")
    assert code == 0, errors
    shown = json.loads(output)
    with bench.journal() as journal:
        driven = is_driven(bench, run_id)
        leases = sum(lease.released is None for lease in journal.leases(run_id))
    found = f"{shown['state']}{', driven' if driven else ''}, {leases} leases"
    if driven:
        assert bench.call("runs", "wait", run_id)[0] == 0
        return found, "went on by itself"
    if shown["state"] != "running":
        return found, "had ended"
    if zlib.crc32(point.name.encode()) % 3 == 0:
        code, output, errors = bench.call("gc", "--local", "--yes")
        assert code == 0, errors
        return found, "gc"
    code, output, errors = bench.call("runs", "resume", run_id)
    assert code == 0 or "killed before it was submitted" in errors, (output, errors)
    return found, "resume" if code == 0 else "resume, which ended it"


def is_driven(bench: Bench, run_id: str) -> bool:
    from lightning_native.engine.record.run_folder import RunFolder

    return RunFolder(Path(bench.environment["LIGHTNING_NATIVE_HOME"]) / "runs" / run_id).is_driven()
