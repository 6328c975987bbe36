"""One cell of the matrix: a real run by the command line on a local cloud of its own, and the check of its end."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.faults.matrix import STEPS, Cell
from tests.support.canary import CanaryWatch

import lightning_native
from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal

# The SDK itself repeats an upload to a full store for minutes.
_SECONDS = 900.0
_LONG = 600
# A run that is stopped in vain would sleep so long; one that is stopped at all ends much sooner.
_STOPPED_WITHIN = 120.0


@dataclass
class CellResult:
    """The end of a cell; `problems` is empty if all is right."""

    cell: Cell
    seconds: float
    exit_code: int
    problems: list[str]
    output: str


def run_cell(cell: Cell, folder: Path) -> CellResult:
    """Run a cell in an empty folder."""
    results, code, home = folder / "results", folder / "code", folder / "home"
    for each in (results, code, home):
        each.mkdir(parents=True)
    secret = f"canary-step-{secrets.token_hex(12)}"
    (code / "workflow.yaml").write_text(yaml.safe_dump(_workflow(cell, results), sort_keys=False))
    python_path = str(Path(lightning_native.__file__).parents[1])
    base = {key: value for key, value in os.environ.items() if not key.startswith(("LIGHTNING_", "PYTEST_"))}
    begun = time.monotonic()
    with LocalCloud(folder / "cloud") as cloud:
        environ = {
            **base,
            **cloud.environ,
            "HOME": str(home),
            "PYTHONPATH": python_path,
            "LIGHTNING_NATIVE_HOME": str(home / "native"),
            "CELL_SECRET": secret,
        }
        fault = cloud.faults.add(cell.fault.kind, **cell.fault.options, **_match(cell))
        process = subprocess.Popen(
            [sys.executable, *_arguments(cell, results)],
            cwd=code,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            output += "\n(killed: it did not end)"
        seconds = time.monotonic() - begun
        left = [known for known in cloud.faults.list() if known.id == fault.id]
        # The local cloud does not count requests for a machine that it has not.
        has_fired = not left or left[0].fired > 0 or "trying the next machine" in output
        cloud.faults.clear()
        remaining, schedules = _remaining(cloud)
        # The cloud removes what was deleted in the background.
        deadline = time.monotonic() + _SECONDS
        while any((folder / "cloud" / "trash").glob("*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        watch = CanaryWatch({"step": secret}, {"home": home, "cloud": folder / "cloud"})
        sightings = watch.scan()
    problems = [] if has_fired else ["the fault never happened"]
    problems += _problems_of_end(cell, process.returncode, output, seconds, results)
    if cell.operation.kind == "scheduled" and process.returncode == 0:
        problems += _problems_of_schedule(remaining, schedules)
    elif cell.operation.kind == "handed over" and process.returncode == 0:
        problems += [] if len(remaining) == 1 else [f"besides the controller's studio there are {remaining}"]
    else:
        problems += _problems_of_rest(process.returncode, output, [*remaining, *schedules])
    problems += _problems_of_record(cell, home / "native")
    # Whatever cannot be deleted keeps its copy.
    problems += [f"the secret is in {sighting.where}" for sighting in sightings if not remaining]
    if secret in output:
        problems.append("the secret was printed")
    return CellResult(cell, seconds, process.returncode, problems, output)


def _arguments(cell: Cell, results: Path) -> list[str]:
    """Return the arguments of the Python that starts the run."""
    here = Path(__file__).parent
    if cell.operation.kind == "handed over":
        boot_timeout = cell.fault.workflow.get("boot_timeout")
        return [str(here / "hand_over.py"), str(results), *([str(boot_timeout)] if boot_timeout else [])]
    command = [str(here / "run_in_images.py")] if cell.operation.kind == "images" else ["-m", "lightning_native"]
    return [*command, "run", "workflow.yaml"]


def _workflow(cell: Cell, results: Path) -> dict[str, object]:
    steps: dict[str, object] = {}
    for name, upstream in STEPS.items():
        count = f"test -n \"$TOKEN\"; echo x >>'{results}/{name}'"
        command = f"{count}; sleep 0.3; echo {name} has run"
        if cell.operation.kind == "stopped" and name == "b":
            command = f"{count}; until test -e '{results}/c'; do sleep 0.1; done; echo no luck; exit 3"
        if cell.operation.kind == "stopped" and name == "c":
            command = f"{count}; sleep {_LONG}; echo >'{results}/c-ended'"
        step: dict[str, object] = {"command": command, "needs": list(upstream), **cell.fault.step}
        if name == "c":
            step["machine"] = ["L4", "T4"]
        if cell.operation.kind == "stopped":
            step.pop("retries", None)
        steps[name] = step
    return {
        "name": "cell",
        "placement": cell.operation.placement,
        "machine": "CPU",
        "pending_timeout": 5,
        **({"on_failure": "fail_fast"} if cell.operation.kind == "stopped" else {}),
        **({"schedule": {"cron": "0 2 * * *", "name": "cell"}} if cell.operation.kind == "scheduled" else {}),
        **cell.fault.workflow,
        "env": {"TOKEN": "${CELL_SECRET}"},
        "steps": steps,
    }


def _match(cell: Cell) -> dict[str, str]:
    return {"match": cell.operation.match} if cell.operation.match else {}


def _remaining(cloud: LocalCloud) -> tuple[list[str], list[str]]:
    """Return the names of what a run has left, and of the schedules: all but template studios that do not run."""
    memberships = _get(cloud, "memberships")["memberships"]
    teamspace = cloud.environ["LIGHTNING_TEAMSPACE"]
    of_project = next(f"projects/{each['projectId']}" for each in memberships if each["name"] == teamspace)
    running = ("PENDING", "RUNNING", "STOPPING")
    studios = [
        studio["name"]
        for studio in _get(cloud, f"{of_project}/cloudspaces")["cloudspaces"]
        if not studio["name"].startswith("env-")
        or any(state in str(_get(cloud, f"{of_project}/cloudspaces/{studio['id']}/codestatus")) for state in running)
    ]
    pipelines = [pipeline["name"] for pipeline in _get(cloud, f"{of_project}/pipelines")["pipelines"]]
    # A pipeline goes with its jobs.
    jobs = [] if pipelines else [job["name"] for job in _get(cloud, f"{of_project}/jobs")["jobs"]]
    schedules = [schedule["displayName"] for schedule in _get(cloud, f"{of_project}/schedules")["schedules"]]
    return [*studios, *jobs, *pipelines], schedules


def _get(cloud: LocalCloud, path: str) -> Any:
    request = urllib.request.Request(f"{cloud.url}/v1/{path}")  # noqa: S310  the address of a local cloud
    request.add_header("Authorization", f"Bearer {cloud.environ['LIGHTNING_API_KEY']}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def _executions(results: Path, name: str) -> int:
    path = results / name
    return len(path.read_text().split()) if path.exists() else 0


def _problems_of_end(cell: Cell, code: int, output: str, seconds: float, results: Path) -> list[str]:
    outcome, problems = cell.fault.outcome, []
    completes = outcome.completes and cell.operation.completes
    if code != (0 if completes else 1):
        problems.append(f"exit code {code}")
    if outcome.reason and outcome.reason not in output:
        problems.append(f"the output has no {outcome.reason!r}")
    if "Traceback" in output:
        problems.append("a traceback was shown")
    for name in cell.operation.steps:
        count = _executions(results, name)
        most = 2 if outcome.repeats else 1
        least = 1 if completes and cell.operation.kind in ("run", "images", "handed over") else 0
        most = 0 if cell.operation.kind == "scheduled" else most
        if not least <= count <= most:
            problems.append(f"step {name} ran {count} times")
    if cell.operation.kind == "stopped":
        if (results / "c-ended").exists() or seconds > _STOPPED_WITHIN:
            problems.append(f"the step that was to be stopped went on; {seconds:.0f} s")
        if "no luck" not in output or "step b" not in output:
            problems.append("the failed step's reason is not shown")
    return problems


def _problems_of_schedule(remaining: list[str], schedules: list[str]) -> list[str]:
    problems = [] if schedules == ["cell"] else [f"the schedules are {schedules}"]
    # Its pipeline, and the studio that belongs to it, which does not run.
    return problems if len(remaining) in (1, 2) else [*problems, f"there are {', '.join(remaining)}"]


def _problems_of_rest(code: int, output: str, left: list[str]) -> list[str]:
    problems = [f"{name} is left and not named" for name in left if name not in output]
    if left and code == 0:
        problems.append(f"exit code 0, and {', '.join(left)} is left")
    if left and "lightning-native gc" not in output:
        problems.append("the command that removes what is left is not named")
    return problems


def _problems_of_record(cell: Cell, home: Path) -> list[str]:
    if not (home / "journal.db").exists():
        return ["there is no journal"]
    with Journal(home / "journal.db") as journal:
        runs = journal.runs()
        if len(runs) != 1:
            return [f"the journal has {len(runs)} runs"]
        (record,) = runs
        steps = journal.steps(record.run_id)
    completes = (cell.fault.outcome.completes or cell.releases) and cell.operation.completes
    if completes and cell.operation.kind == "handed over":
        # Whatever the controller does is in its own journal, in its studio.
        states = [record.state, *(step.state for step in steps)]
        return [] if states == ["running", "running"] else [f"the journal says {states}"]
    problems = [] if (record.state == "completed") is completes else [f"the journal says {record.state}"]
    return problems + [
        f"the journal says that step {step.name} is {step.state}"
        for step in steps
        if step.state not in ("succeeded", "failed", "stopped", "skipped")
    ]
