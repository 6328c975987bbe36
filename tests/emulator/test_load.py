"""Many studios and as many jobs from 32 threads: nothing lost, nothing twice.

`LIGHTNING_NATIVE_LOAD=200` runs two hundred of each, which takes minutes on a small machine.
"""

import os
import subprocess
import sys
from pathlib import Path

from lightning_native.emulator import LocalCloud

COUNT = int(os.environ.get("LIGHTNING_NATIVE_LOAD", "40"))
SCRIPT = """
import collections, os, time
from concurrent.futures import ThreadPoolExecutor
from lightning_sdk import Job, Machine, Status, Studio, Teamspace

teamspace = Teamspace("local-teamspace", user="local-user")
shared = os.environ["SHARED"]
source = Studio("source", teamspace=teamspace)

def studio_life(number):
    studio = Studio(f"studio-{number}", teamspace=teamspace)
    studio.start(Machine.CPU)
    assert studio.run(f"echo {number} >> {shared}/studio-{number}; echo out-{number}") == f"out-{number}"
    studio.stop()
    assert studio.status == Status.Stopped
    studio.delete()

def job_life(number):
    command = f"echo {number} >> {shared}/job-{number}; echo out-{number}"
    job = Job.run(f"job-{number}", machine=Machine.CPU, studio=source, command=command)
    job.wait(interval=0.2)
    assert job.status == Status.Completed and str(job.logs) == f"out-{number}", number
    job.delete()

with ThreadPoolExecutor(32) as pool:
    work = [pool.submit(life, number) for number in range(int(os.environ["COUNT"])) for life in (studio_life, job_life)]
    for future in work:
        future.result()
assert [studio.name for studio in teamspace.studios] == ["source"]
assert teamspace.jobs == ()
source.delete()
print("done")
"""


def test_many_studios_and_jobs_from_32_threads(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    with LocalCloud(tmp_path / "cloud") as cloud:
        environ = {**os.environ, **cloud.environ, "SHARED": str(tmp_path / "shared"), "COUNT": str(COUNT)}
        argv = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
        assert result.stdout.strip() == "done", result.stderr[-4000:]
        left = [name for name in ("studios", "jobs", "commands") if any((cloud.root / name).iterdir())]
        assert left == []
    written = {path.name: path.read_text() for path in (tmp_path / "shared").iterdir()}
    expected = {f"{kind}-{number}": f"{number}\n" for kind in ("studio", "job") for number in range(COUNT)}
    assert written == expected
