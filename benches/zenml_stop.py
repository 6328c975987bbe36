"""The bench of `zenml pipeline runs stop` for a run with eight steps: until all is released, and until it returns.

`python benches/zenml_stop.py [ROUNDS]`; beside `zenml pipeline runs list`, which shows ZenML's own start-up time.
Prints one JSON object: median and slowest, in seconds after the command was entered.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.local import attach

sys.path.insert(0, str(Path(__file__).parents[1]))

# The bench measures the pipeline of the tests.
from tests.support.servers.zenml_server import serve_zenml
from tests.support.workbench import Workbench, new_zenml
from tests.zenml.submit.test_stop import wait_until_up, with_settings

ZENML = str(Path(sys.executable).parent / "zenml")
# The number of steps that run at the stop (none while the studio is prepared), and the settings of the run.
CASES: dict[str, tuple[int, dict[str, object]]] = {
    "provisioning": (0, {}),
    "steps run": (8, {}),
    "jobs run": (8, {"placement": "job"}),
    "jobs of a pipeline run": (8, {"placement": "platform"}),
    "asynchronous, provisioning": (0, {"synchronous": False}),
    "asynchronous, steps run": (8, {"synchronous": False}),
}


def zenml(workbench: Workbench, *arguments: str) -> float:
    begun = time.perf_counter()
    command = [ZENML, "pipeline", "runs", *arguments]
    result = subprocess.run(
        command, env=workbench.environment, cwd=workbench.folder, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)
    return time.perf_counter() - begun


def stop(workbench: Workbench, steps_up: int, settings: dict[str, object]) -> dict[str, float]:
    process = workbench.start(with_settings(**settings, reuse_environments=False))
    is_here = settings.get("synchronous", True)
    workbench.wait_for(process, "is driven by process" if is_here else "gets a controller in studio")
    wait_until_up(workbench, steps_up)
    run = workbench.newest_run()
    listed = zenml(workbench, "list")
    begun = time.time()
    returned = zenml(workbench, "stop", run, "-y")
    process.communicate()
    if set(workbench.statuses().values()) != {"stopped"}:
        sys.exit(f"not everything was stopped: {workbench.statuses()}")
    workbench.assert_nothing_left()
    times = {"zenml pipeline runs list": listed, "stop returns": returned}
    if is_here:
        with Journal(workbench.journal) as journal:
            times["all released"] = (journal.runs(1)[0].ended or 0.0) - begun
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    rounds = parser.parse_args().rounds
    report: dict[str, dict[str, dict[str, list[float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = new_zenml(folder)
        with attach(folder / "home" / "cloud") as cloud, serve_zenml(local, folder / "served") as served:
            for store, environment in {"sqlite": local, "server": served}.items():
                for phase, (steps_up, settings) in CASES.items():
                    taken = []
                    for number in range(rounds):
                        code = folder / f"{store} {phase} {number}"
                        code.mkdir()
                        taken.append(stop(Workbench(environment, cloud, code), steps_up, settings))
                    times = {what: [each[what] for each in taken] for what in taken[0]}
                    found = report.setdefault(store, {})[phase] = {
                        what: [round(statistics.median(each), 1), round(max(each), 1)] for what, each in times.items()
                    }
                    print(store, phase, found, file=sys.stderr, flush=True)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
