"""The bench of the engine: steps a second, commands a second in one studio, time of eight jobs, time of `runs list`.

`python benches/engine.py [memory] [studio] [jobs] [list]`; without a name, all of them. Prints one JSON object.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from lightning_native.emulator import LocalCloud
from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.memory import MemoryCloud
from lightning_native.placement import PlacementName

# Simulated seconds in a real one; simulated seconds of a machine's start; simulated seconds of a step.
_RATE, _START, _STEP = 30.0, 30.0, 60.0
DRIVER = Path(__file__).parents[1] / "tests" / "support" / "driver.py"


def make(folder: Path, placement: PlacementName, steps: list[StepPlan], **options: Any) -> RunFolder:
    code = folder / "code"
    code.mkdir(exist_ok=True)
    plan = RunPlan(uuid.uuid4().hex, "bench", tuple(steps), placement=placement, **options)
    made = RunFolder.of(plan.run_id)
    made.write(plan, code, {})
    return made


def in_memory(folder: Path, placement: PlacementName, count: int) -> float:
    """Return no-op steps a second through the whole engine, with the cloud in memory."""
    made = make(folder, placement, [StepPlan(f"s{n}", ("true",)) for n in range(count)], max_parallelism=64)
    with Journal() as journal:
        begun = time.perf_counter()
        result = run_plan(made, cloud=MemoryCloud(), cloud_name="memory", journal=journal)
        seconds = time.perf_counter() - begun
    assert result.state == "completed", result.message
    return count / seconds


def drive_apart(made: RunFolder, cloud: LocalCloud) -> float:
    begun = time.perf_counter()
    argv, environ = [sys.executable, str(DRIVER), str(made.path)], {**os.environ, **cloud.environ}
    result = subprocess.run(argv, env=environ, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    return time.perf_counter() - begun


def in_one_studio(folder: Path, count: int = 500) -> float:
    """Return real no-op commands a second in one studio of the local cloud, the studio's creation included."""
    steps = [StepPlan(f"s{n}", ("true",)) for n in range(count)]
    with LocalCloud(folder / "cloud") as cloud:
        return count / drive_apart(make(folder, "studio", steps, max_parallelism=64), cloud)


def eight_jobs(folder: Path, clouds: int = 3, later_runs: int = 2) -> dict[str, object]:
    """Return the simulated seconds of eight 60-second steps as jobs, on machines that take 30 s to start.

    A run lasts from the moment when its controller, with the SDK imported and signed in, begins to drive it, to the end
    of its last step. The first run on each cloud prepares the template studio, which later ones use.
    """
    first, prepare, later, released = [], [], [], []
    for number in range(clouds):
        os.environ["LIGHTNING_NATIVE_HOME"] = str(folder / f"home-{number}")
        root = folder / f"cloud-{number}"
        with LocalCloud(root, boot_seconds=_START, job_start_seconds=_START, clock_rate=_RATE) as cloud:
            ended, _, name = _eight_jobs(folder, cloud)
            first.append(ended)
            with Journal() as journal:
                (environment,) = journal.environments(name)
            prepare.append((environment.used - environment.created) * _RATE)
            for _ in range(later_runs):
                ended, gone, _ = _eight_jobs(folder, cloud)
                later.append(ended)
                released.append(gone)
    found: dict[str, object] = {}
    for name, seconds in {"first run": first, "of it prepare": prepare, "second run": later}.items():
        found[name] = round(statistics.median(seconds), 1)
        found[f"{name}, each"] = [round(each, 1) for each in seconds]
    found["second run, until all is released"] = round(statistics.median(released), 1)
    found["first run / (prepare + start + 60 s)"] = round(
        statistics.median(each / (made + _START + _STEP) for each, made in zip(first, prepare, strict=True)), 3
    )
    found["second run / (start + 60 s)"] = round(statistics.median(later) / (_START + _STEP), 3)
    return found


def _eight_jobs(folder: Path, cloud: LocalCloud) -> tuple[float, float, str]:
    """Return the simulated seconds until the last step has ended and until all is released, and the cloud's name."""
    # The command's seconds are real ones: only the cloud's clock is faster.
    steps = [StepPlan(f"s{n}", ("sleep", str(_STEP / _RATE))) for n in range(8)]
    made = make(folder, "job", steps)
    drive_apart(made, cloud)
    with Journal() as journal:
        record = journal.run(made.path.name)
        ended = max(step.ended or 0.0 for step in journal.steps(made.path.name))
    assert record is not None
    assert record.ended is not None
    return (ended - record.started) * _RATE, (record.ended - record.started) * _RATE, record.cloud


def list_runs(folder: Path, count: int = 10_000) -> float:
    """Return the median seconds of the command `runs list`, its start included."""
    os.environ["LIGHTNING_NATIVE_HOME"] = str(folder / "many")
    with Journal() as journal:
        for number in range(count):
            driven = journal.drive(f"{number:032x}", "bench", "cloud", 1, ["a", "b", "c"])
            driven.lease("studio", "x", on_release="delete")
            driven.released("studio", "x")
            driven.end("completed")
    argv = [sys.executable, "-m", "lightning_native", "runs", "list"]
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> None:
    wanted = sys.argv[1:] or ["memory", "studio", "jobs", "list"]
    results: dict[str, Any] = {}
    for name in wanted:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            os.environ["LIGHTNING_NATIVE_HOME"] = str(folder / "home")
            if name == "memory":
                counts: dict[PlacementName, int] = {"studio": 5_000, "job": 5_000, "platform": 500}
                for placement, count in counts.items():
                    rate = in_memory(folder, placement, count)
                    results[f"steps a second in memory, placement {placement}"] = round(rate)
            elif name == "studio":
                results["commands a second in one studio"] = round(in_one_studio(folder), 1)
            elif name == "jobs":
                results["simulated seconds of eight jobs of 60 s"] = eight_jobs(folder)
            else:
                results["seconds of runs list, of 10,000 runs"] = round(list_runs(folder), 3)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
