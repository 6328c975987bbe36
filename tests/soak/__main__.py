"""Many runs one after the other: `python -m tests.soak` fails if memory, threads, files or folders grow with them.

2,000 runs are in the cloud in memory, in this process. 50 are by the command line on one local cloud, whose server is
watched, each with another fault of the matrix.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.faults.matrix import REQUEST_FAULTS

from lightning_native import engine
from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.lightning.memory import Behaviour, MemoryCloud
from lightning_native.placement import CAPABILITIES

# The first runs import modules and fill caches.
_WARM_UP = 0.2
_MEMORY_SHARE, _MEMORY_BYTES = 1.15, 24 * 1024 * 1024
_PREFIX = "lightning-native"


@dataclass(frozen=True)
class Use:
    """The use of a process: bytes of memory, threads, open files, and our temporary folders."""

    memory: int
    threads: int
    files: int
    folders: int

    @classmethod
    def of(cls, pid: int) -> "Use":
        """Read the use of a process."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        places = [Path(tempfile.gettempdir()), Path("/dev/shm")]  # noqa: S108  only their names are read
        folders = sum(path.name.startswith(_PREFIX) for place in places for path in place.iterdir())
        memory, threads = int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"])
        return cls(memory, threads, len(list(Path(f"/proc/{pid}/fd").iterdir())), folders)

    def growth(self, later: "Use") -> list[str]:
        """Return what has grown since."""
        grown = []
        if later.memory > self.memory * _MEMORY_SHARE + _MEMORY_BYTES:
            grown.append(f"memory from {self.memory >> 20} to {later.memory >> 20} MiB")
        for name in ("threads", "files", "folders"):
            before, after = getattr(self, name), getattr(later, name)
            if after > before + 2:
                grown.append(f"{name} from {before} to {after}")
        return grown


def repeated(count: int, pid: int, run: Callable[[int], None]) -> list[str]:
    """Run so often, and return what has grown in a process since the first runs."""
    warm = max(1, int(count * _WARM_UP))
    before = Use.of(pid)
    for number in range(count):
        run(number)
        if number + 1 == warm:
            before = Use.of(pid)
        if (number + 1) % max(1, count // 10) == 0:
            print(f"{number + 1} of {count}: {Use.of(pid)}", flush=True)  # noqa: T201  progress
    return before.growth(Use.of(pid))


def in_memory(count: int) -> list[str]:
    """Run plans of all placements in the cloud in memory."""
    placements = sorted(CAPABILITIES)
    code = Path(tempfile.mkdtemp(prefix="soak-"))
    try:

        def run(number: int) -> None:
            steps = (
                StepPlan("a", ("a",)),
                StepPlan("b", ("b",), upstream=("a",), retry=Retry(1)),
                StepPlan("c", ("c",), upstream=("a",)),
            )
            failing = iter([1])
            cloud = MemoryCloud(lambda argv, _: Behaviour(exit_code=next(failing, 0) if argv == ["b"] else 0))
            plan = RunPlan(uuid.uuid4().hex, "soak", steps, placement=placements[number % len(placements)])
            result = engine.run(plan, code, cloud=cloud)
            assert result.state == "completed", result

        return repeated(count, os.getpid(), run)
    finally:
        shutil.rmtree(code)


def on_local_cloud(count: int) -> list[str]:
    """Run a workflow by the command line on one local cloud, with another fault each time."""
    root = Path(tempfile.mkdtemp(prefix="soak-"))
    code = root / "code"
    code.mkdir()
    faults = [fault for fault in REQUEST_FAULTS if fault.outcome.completes and fault.kind != "outage"]
    try:
        with LocalCloud(root / "cloud") as cloud:
            environ = {**os.environ, **cloud.environ, "LIGHTNING_NATIVE_HOME": str(root / "home")}

            def run(number: int) -> None:
                placement = sorted(CAPABILITIES)[number % len(CAPABILITIES)]
                steps = {"a": {"command": "echo a"}, "b": {"command": "echo b", "needs": "a"}}
                workflow = {"name": "soak", "placement": placement, "steps": steps}
                (code / "workflow.yaml").write_text(yaml.safe_dump(workflow))
                fault = faults[number % len(faults)]
                cloud.faults.add(fault.kind, **fault.options)
                argv = [sys.executable, "-m", "lightning_native", "run", "workflow.yaml"]
                done = subprocess.run(argv, cwd=code, env=environ, capture_output=True, text=True, check=False)
                cloud.faults.clear()
                assert done.returncode == 0, f"{placement}, {fault.name}:\n{done.stdout}{done.stderr}"

            return repeated(count, cloud.pid, run)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Run both soaks, and return 0 if nothing has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-memory", type=int, default=2000, help="runs in the cloud in memory")
    parser.add_argument("--on-local-cloud", type=int, default=50, help="runs on a local cloud")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        # Temporary folders of other processes are not counted.
        tempfile.tempdir = os.environ["TMPDIR"] = home
        os.environ["LIGHTNING_NATIVE_HOME"] = f"{home}/native"
        grown = in_memory(arguments.in_memory) if arguments.in_memory else []
        grown += on_local_cloud(arguments.on_local_cloud) if arguments.on_local_cloud else []
    print("; ".join(grown) or "nothing has grown")  # noqa: T201  the result
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
