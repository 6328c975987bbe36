"""A step that is forked from a warm process finds what it would find in a fresh one, and ends as it would there."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lightning_native.child_process import python_module
from lightning_native.zenml.step_process.bootstrap import MODULE
from lightning_native.zenml.step_process.warm_start import PEAK_MEMORY
from lightning_native.zenml.variables import ENV_RUN_ID, ENV_SCRATCH, ENV_WARM_STEPS

# An entrypoint of the user's, in the place of a step.
PROBE = """
import json, os, random, resource, signal, sys, tempfile, threading
from zenml.entrypoints.base_entrypoint_configuration import BaseEntrypointConfiguration
from lightning_native.zenml.step_process.confirmed_end import confirm

class Probe(BaseEntrypointConfiguration):
    def run(self):
        exec(open(os.environ["ACT"]).read(), globals())

def described():
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
    handlers = {int(each): str(signal.getsignal(each)).split(" at ")[0] for each in signal.valid_signals()}
    import numpy, threadpoolctl
    # As each step does.
    from zenml.integrations.registry import integration_registry
    integration_registry.activate_integrations()
    return {
        "environment": {name: value for name, value in os.environ.items() if name != "OLDPWD"},
        "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "umask": os.umask(0o22), "limits": limits,
        "handlers": handlers, "mask": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "niceness": os.nice(0), "affinity": sorted(os.sched_getaffinity(0)), "temporary": tempfile.gettempdir(),
        "main": sys.modules["__main__"].__name__, "python threads": threading.active_count(),
        "input": os.readlink("/proc/self/fd/0"), "leads its group": os.getpgid(0) != os.getppid(),
        "libraries": sorted((each["prefix"], each["num_threads"]) for each in threadpoolctl.threadpool_info()),
    }
"""


@dataclass
class Machine:
    """A machine of a user, whose home has the code and a file that the step executes."""

    folder: Path

    def start(self, act: str, *, warm: bool, **variables: str) -> "subprocess.Popen[str]":
        (self.folder / "act.py").write_text(act)
        scratch = self.folder / f"scratch-{len(list(self.folder.glob('scratch-*')))}"
        scratch.mkdir()
        ours = {"HOME": str(self.folder), "ACT": "act.py", ENV_RUN_ID: "0123", "ZENML_CONFIG_PATH": str(scratch)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return subprocess.Popen(
            python_module(MODULE, "--entrypoint_config_source", "probe.Probe", "--snapshot_id", str(UUID(int=0))),
            env={
                **clean,
                "PYTHONPATH": str(self.folder),
                **ours,
                ENV_SCRATCH: str(scratch),
                **({ENV_WARM_STEPS: "1"} if warm else {}),
                **variables,
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, act: str, *, warm: bool = True, **variables: str) -> tuple[int, str, str]:
        process = self.start(act, warm=warm, **variables)
        output, errors = process.communicate(timeout=240)
        return process.returncode, output, errors

    def parents(self) -> list[int]:
        """Return the warm processes of this home."""
        command = ["pgrep", "-f", f"warm_parent {self.folder}"]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        # Steps that were forked from one have its name.
        return [int(pid) for pid in listed if parent_of(int(pid)) not in listed]


def parent_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
    except FileNotFoundError:
        return ""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "probe.py").write_text(PROBE)
    machine = Machine(tmp_path)
    yield machine
    for parent in machine.parents():
        os.kill(parent, signal.SIGKILL)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_forked_step_finds_what_a_fresh_one_finds(machine: Machine) -> None:
    act = "import json; print(json.dumps(described())); confirm()"
    found: list[dict[str, Any]] = []
    for warm in (False, True, True):
        code, output, errors = machine.end(act, warm=warm)
        assert (code, "a fresh process runs" in errors) == (0, False), errors
        found.append(json.loads(output.splitlines()[-1]))
    for each in found:
        for name in (ENV_SCRATCH, "ZENML_CONFIG_PATH"):
            assert "scratch-" in each["environment"].pop(name)
    fresh, *forked = found
    for each in forked:
        # A fresh process that compares is the parent of a fresh step, and shares its group.
        each["leads its group"] = fresh["leads its group"]
        for name, value in fresh.items():
            assert each[name] == value, name
    assert len(machine.parents()) == 1


def test_random_numbers_of_two_steps_differ(machine: Machine) -> None:
    act = "import numpy; print(random.random(), numpy.random.random(), tempfile.mkdtemp()); confirm()"
    first, second = (machine.end(act)[1].split() for _ in range(2))
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, False, False]


@pytest.mark.parametrize(
    ("act", "code", "words"),
    [
        ("confirm(); os._exit(3)", 0, "ended by exit code 3 after ZenML had recorded"),
        ("sys.exit(3)", 3, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
        ("raise ValueError('no such rate')", 1, "ValueError: no such rate"),
    ],
)
def test_a_forked_step_ends_as_a_fresh_one(machine: Machine, act: str, code: int, words: str) -> None:
    for warm in (True, False):
        found, _, errors = machine.end(act, warm=warm)
        assert (found, words in errors) == (code, True), errors


def test_a_crash_kills_its_own_step_only_and_memory_is_that_of_the_step(machine: Machine) -> None:
    wait = "import time; print('up', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\nconfirm()"
    other = machine.start(wait, warm=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "up\n"
    act = "block = bytearray(400_000_000); block[::4096] = b'x' * len(block[::4096]); os.abort()"
    assert machine.end(act)[0] == -signal.SIGABRT
    peak = int((machine.folder / "scratch-1" / PEAK_MEMORY).read_text())
    assert 400_000_000 < peak < 2_000_000_000
    (machine.folder / "go").touch()
    other.communicate(timeout=240)
    assert other.returncode == 0
    assert int((machine.folder / "scratch-0" / PEAK_MEMORY).read_text()) < 400_000_000


def test_a_signal_to_the_process_that_asked_reaches_the_step(machine: Machine) -> None:
    act = """
import time
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), sys.exit(0)))
print("up", flush=True)
while True: time.sleep(0.02)
"""
    process = machine.start(act, warm=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=240)
    assert (process.returncode, output) == (-signal.SIGTERM, "told\n")


def test_a_step_dies_with_the_process_that_asked_and_with_the_warm_one(machine: Machine) -> None:
    act = "import time; print(os.getpid(), flush=True)\nwhile True: time.sleep(0.02)"
    for kill_asker in (True, False):
        process = machine.start(act, warm=True)
        assert process.stdout is not None
        step = int(process.stdout.readline())
        (parent,) = machine.parents()
        os.kill(process.pid if kill_asker else parent, signal.SIGKILL)
        _, errors = process.communicate(timeout=240)
        wait_until(lambda step=step: not is_alive(step))  # type: ignore[misc]
        assert process.returncode == -signal.SIGKILL
        assert ("the process from which this step was forked has died" in errors) is not kill_asker


def test_other_variables_and_code_have_another_warm_process(machine: Machine) -> None:
    for variables in ({}, {"ZENML_DEBUG": "true"}, {}):
        code, output, errors = machine.end("print(os.environ.get('ZENML_DEBUG')); confirm()", **variables)
        assert (code, output.split()[-1]) == (0, str(variables.get("ZENML_DEBUG"))), errors
    assert len(machine.parents()) == 2


def test_limits_of_the_process_that_asked_hold(machine: Machine) -> None:
    act = "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.nice(0)); confirm()"
    machine.end(act)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        assert machine.end(act)[1].split()[0] == "200"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(machine.parents()) == 1


def test_nothing_is_forked_from_a_process_with_threads(machine: Machine) -> None:
    (machine.folder / "sitecustomize.py").write_text(
        "import sys, threading\n"
        "if 'warm_parent' in str(sys.orig_argv):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    code, output, errors = machine.end("print('here'); confirm()")
    assert (code, output) == (0, "here\n"), errors
    assert "a fresh process runs this step: a module that was imported has started 1 threads" in errors


def test_a_step_runs_where_no_warm_process_can_be_had(machine: Machine) -> None:
    # The folder of sockets is a file.
    (machine.folder / ".lightning-native").write_text("")
    code, output, errors = machine.end("print('here'); confirm()")
    assert (code, output, "a fresh process runs this step: " in errors) == (0, "here\n", True), errors


def test_a_warm_process_that_dies_at_its_start_is_not_waited_for(machine: Machine) -> None:
    (machine.folder / "sitecustomize.py").write_text(
        "import os, sys\nif 'warm_parent' in str(sys.orig_argv):\n    os._exit(3)\n"
    )
    code, output, errors = machine.end("print('here'); confirm()")
    assert (code, output, "the warm process did not start" in errors) == (0, "here\n", True), errors
