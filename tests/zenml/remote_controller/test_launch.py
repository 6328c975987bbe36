"""Runs whose controller lives on Lightning: asynchronous ones, and dynamic pipelines."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from tests.support.workbench import Workbench, new_zenml

from lightning_native import _native
from lightning_native.emulator import read_environ
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.local import attach

pytestmark = pytest.mark.spread(5)

ASYNCHRONOUS = """
import os, time
from zenml import pipeline, step

@step(enable_cache=False)
def good() -> int:
    print("good says \x1b]0;a title\x07hello")
    return 1

@step(enable_cache=False)
def bad() -> int:
    raise ValueError("on purpose")

@step(enable_cache=False)
def after(x: int) -> int:
    return x

@pipeline(settings={"orchestrator": {"synchronous": False}})
def background() -> None:
    after(good(), id="after_good")
    after(bad(), id="after_bad")

if __name__ == "__main__":
    background()
    print("SUBMITTED")
"""


def wait_for_end(workbench: Workbench, seconds: float = 400) -> dict[str, str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        statuses = workbench.statuses()
        if statuses["run"] in ("completed", "failed", "stopped"):
            return statuses
        time.sleep(1)
    raise AssertionError(f"the run did not end: {workbench.statuses()}")


def test_an_asynchronous_run_is_driven_by_a_studio_that_leaves_nothing_but_its_log(workbench: Workbench) -> None:
    code, output = workbench.run(ASYNCHRONOUS)
    assert code == 0, output
    assert "SUBMITTED" in output
    command = re.search(r"runs logs \S+ --follow", output)
    assert command, output
    # ZenML shows the run as failed from its first failed step on; the controller continues with the others.
    wait_for_end(workbench)
    wait_until_nothing_is_left(workbench)
    assert workbench.statuses() == {
        "run": "failed",
        "good": "completed",
        "bad": "failed",
        "after_good": "completed",
    }
    with Journal(workbench.journal) as journal:
        # This machine records only the controller location.
        record = journal.runs(1)[0]
        assert [step.name for step in journal.steps(record.run_id)] == ["controller"]
        assert "handed over" in journal.events(record.run_id)[-1].text
    shown = subprocess.run(
        [sys.executable, "-m", "lightning_native", *command[0].split()],
        env=workbench.environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=workbench.folder,
        timeout=240,
    )
    assert shown.returncode == 0, shown.stderr
    assert "[good] good says hello" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "on purpose" in shown.stdout


ALONE = ASYNCHRONOUS.replace(
    '    raise ValueError("on purpose")',
    "    deadline = time.monotonic() + 400\n    while not os.path.exists(os.environ['GO']):\n"
    "        assert time.monotonic() < deadline\n        time.sleep(0.1)\n    return 2",
).replace(
    "@pipeline(settings={", "@pipeline(settings={'docker': {'runtime_environment': {'GO': os.environ.get('GO', '')}}, "
)


@pytest.mark.timeout(1200)
def test_a_controller_runs_from_our_wheel_and_keeps_the_cloud_that_nobody_else_uses(tmp_path: Path) -> None:
    environment = new_zenml(tmp_path)
    root = tmp_path / "home" / "cloud"
    workbench = Workbench(environment, {}, tmp_path / "user")
    code, output = workbench.run(ALONE, GO=str(tmp_path / "go"))
    assert code == 0, output
    with (root / "users.lock").open() as users:
        wait_until(lambda: can_lock(users))
        fcntl.flock(users, fcntl.LOCK_UN)
    wait_until(lambda: workbench.statuses().get("bad") == "running")
    (controller,) = processes_of(str(root), "lightning_native.zenml.controller")
    maps = Path(f"/proc/{controller}/maps").read_text()
    (native,) = {line.split()[-1] for line in maps.splitlines() if "_native.abi3.so" in line}
    assert native != _native.__file__
    assert "/site-packages/lightning_native/_native.abi3.so" in native
    variables = Path(f"/proc/{controller}/environ").read_bytes().decode().split("\0")
    named = [variable for variable in variables if str(root) in variable]
    assert not [variable for variable in named if variable.startswith(("LIGHTNING_", "ZENML_"))], named
    (tmp_path / "go").touch()
    wait_until(lambda: read_environ(root) is None)
    with attach(root) as cloud:
        workbench.cloud_environment = cloud
        workbench.assert_nothing_left()
    assert set(workbench.statuses().values()) == {"completed"}


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 400
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def can_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def processes_of(root: str, words: str) -> list[int]:
    """Return the processes with these words in their command line that run in studios of a cloud."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command, environ = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if words.encode() in command.split(b"\0") and f"VIRTUAL_ENV={root}/".encode() in environ:
                found.append(int(folder.name))
    return found


def test_without_a_wheel_nothing_starts(workbench: Workbench) -> None:
    for script in (ASYNCHRONOUS, DYNAMIC):
        before = len(runs_of(workbench))
        code, output = workbench.run(script, LIGHTNING_NATIVE_WHEEL="/nowhere/x.whl", FOLDER=str(workbench.folder))
        assert code != 0
        assert "LIGHTNING_NATIVE_WHEEL names /nowhere/x.whl, where there is no file" in output
        assert len(runs_of(workbench)) == before
        assert workbench.statuses()["run"] == "failed"
        workbench.assert_nothing_left()


def runs_of(workbench: Workbench) -> list[str]:
    with Journal(workbench.journal) as journal:
        return [record.run_id for record in journal.runs()]


def wait_until_nothing_is_left(workbench: Workbench) -> None:
    """Wait until nothing is left, because a controller deletes its own studio after it has published the end."""
    deadline = time.monotonic() + 240
    while True:
        try:
            workbench.assert_nothing_left()
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(1)
        else:
            return


DYNAMIC = """
import atexit
import os
import time
from pathlib import Path
from zenml import pipeline, step
from zenml.config import DockerSettings, ResourceSettings
from zenml.enums import StepRuntime

FOLDER = Path(os.environ.get("FOLDER", "."))

def note(folder: str, name: str) -> None:
    with (Path(folder) / name).open("a") as stream:
        stream.write(name + "\\n")

@step(enable_cache=False)
def plan(folder: str) -> int:
    note(folder, "plan")
    return 2

@step(enable_cache=False, runtime=StepRuntime.ISOLATED, settings={"orchestrator": {"machine_type": "L4"}})
def train(folder: str, number: int) -> int:
    note(folder, f"train{number}")
    if number == 1:
        print("TRAIN 1 IS UP\\nand waits", flush=True)
        deadline = time.monotonic() + 400
        while not (Path(folder) / "go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return number

T4 = ResourceSettings(gpu_count=1, gpu_class="T4")

@step(enable_cache=False, runtime=StepRuntime.ISOLATED, settings={"resources": T4})
def best(folder: str, a: int, b: int) -> int:
    note(folder, "best")
    # It has completed all the same.
    atexit.register(os.kill, os.getpid(), 9)
    return max(a, b)

@pipeline(dynamic=True)
def grow(folder: str) -> None:
    plan(folder)
    first = train.submit(folder, 0)
    second = train.submit(folder, 1)
    best(folder, first.load(), second.load())

if __name__ == "__main__":
    grow(str(FOLDER))
"""


# The same dynamic pipeline with each packaging.
WITH = "@pipeline(dynamic=True, settings={'orchestrator': {'packaging': '%s'}, 'docker': DockerSettings(%s)})"
WHEEL = DYNAMIC.replace("@pipeline(dynamic=True)", WITH % ("wheel", ""))
IMAGES = DYNAMIC.replace("@pipeline(dynamic=True)", WITH % ("image", "parent_image='i:1', skip_build=True"))


def test_a_dynamic_pipeline_goes_on_after_its_controller_was_killed_and_repeats_nothing(workbench: Workbench) -> None:
    process = workbench.start(WHEEL, FOLDER=str(workbench.folder))
    workbench.wait_for(process, "TRAIN 1 IS UP")
    kill_entrypoint(workbench)
    time.sleep(1)
    (workbench.folder / "go").touch()
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert "died of signal 9" in output
    statuses = workbench.statuses()
    assert set(statuses.values()) == {"completed"}, statuses
    assert {name: (workbench.folder / name).read_text() for name in ("plan", "train0", "train1", "best")} == {
        name: f"{name}\n" for name in ("plan", "train0", "train1", "best")
    }
    workbench.assert_nothing_left()


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 400
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill_entrypoint(workbench: Workbench) -> None:
    """Kill the process in which the dynamic pipeline runs."""
    listed = subprocess.run(["ps", "axeww", "-o", "pid,args"], capture_output=True, text=True, check=True).stdout
    mine = [
        int(line.split()[0])
        for line in listed.splitlines()
        if "lightning_native.zenml.step_process.bootstrap" in line
        and "DynamicEntrypoint" in line
        and "lightning_native.zenml.remote_controller.supervisor" not in line
    ]
    home = workbench.environment["LIGHTNING_NATIVE_HOME"]
    mine = [pid for pid in mine if home in Path(f"/proc/{pid}/environ").read_text()]
    assert mine
    for pid in mine:
        os.kill(pid, signal.SIGKILL)


RESUME = """
from zenml.client import Client
run = Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0]
run = Client().get_pipeline_run(run.id)
Client().active_stack.orchestrator.resume_run(snapshot=run.snapshot, run=run, stack=Client().active_stack)
"""
STOP = """
from zenml.client import Client
from zenml.utils.run_utils import stop_run
stop_run(Client().get_pipeline_run(Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0].id))
"""


def test_a_dynamic_run_that_nobody_watches_any_more_is_resumed_through_zenml(workbench: Workbench) -> None:
    process = workbench.start(DYNAMIC, FOLDER=str(workbench.folder))
    workbench.wait_for(process, "TRAIN 1 IS UP")
    with Journal(workbench.journal) as journal:
        controller = journal.runs(1)[0].controller
    assert controller is not None
    os.kill(controller, signal.SIGKILL)
    process.communicate(timeout=240)
    assert process.returncode != 0
    (workbench.folder / "go").touch()
    # The command runs in the pipeline's own folder, because a resumed run submits the code of its folder.
    workbench.python(RESUME)
    assert set(workbench.statuses().values()) == {"completed"}
    for name in ("plan", "train0", "train1", "best"):
        assert (workbench.folder / name).read_text() == f"{name}\n"
    workbench.assert_nothing_left()


@pytest.mark.parametrize("synchronous", [True, False])
def test_stopping_a_dynamic_run_stops_its_isolated_steps(workbench: Workbench, synchronous: bool) -> None:
    script = IMAGES.replace("{'packaging': 'image'}", f"{{'packaging': 'image', 'synchronous': {synchronous}}}")
    process = workbench.start(script, FOLDER=str(workbench.folder))
    if synchronous:
        workbench.wait_for(process, "TRAIN 1 IS UP")
        workbench.python(STOP)
        assert "was stopped on request" in process.communicate(timeout=400)[0]
    else:
        process.communicate(timeout=400)
        wait_for_file(workbench.folder / "train1")
        workbench.python(STOP)
    # Without a wait, because the command returns after the run's end.
    statuses = workbench.statuses()
    assert (statuses["run"], statuses["train_2"]) == ("stopped", "stopped"), statuses
    assert "best" not in statuses
    workbench.assert_nothing_left()
