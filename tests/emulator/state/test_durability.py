"""Deaths of the server by kill -9: finished things stay, running ones are found again, lost ones are reported."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lightning_native.emulator import LocalCloud

SUBMIT = """
from lightning_sdk import Job, Studio
studio = Studio("source")
studio.start()
studio.run("echo kept > kept")
done = Job.run("done", machine="CPU", studio=studio, command="echo finished; echo artifact > file")
done.wait(interval=0.05)
wait = "while [ ! -e ../../../go ]; do sleep 0.05; done"
Job.run("goes-on", machine="CPU", studio=studio, command=f"echo begun; {wait}; echo went on")
Job.run("ends-meanwhile", machine="CPU", studio=studio, command="sleep 0.5; echo meanwhile; exit 3")
Job.run("is-lost", machine="CPU", studio=studio, command="echo $$ > ../../../lost; exec sleep 600")
Job.run("several", machine="CPU", studio=studio, command="sleep 1; echo $NODE_RANK", num_machines=2)
"""

LOOK = """
from lightning_sdk import Job, Status, Studio
studio = Studio("source", create_ok=False)
print("studio", studio.status, studio.run("cat kept"))
for name in ("done", "goes-on", "ends-meanwhile", "is-lost", "several"):
    job = Job(name)
    job.wait(interval=0.05, timeout=60)
    print(name, job.status, str(job.logs() if job.is_multi_machine else job.logs).split())
print([entry.path for entry in Job("done").list_artifacts()])
print("killed" in Job("is-lost")._job.message)
"""


def run(cloud: LocalCloud, script: str) -> str:
    environ = {**os.environ, **cloud.environ}
    argv = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=400)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_jobs_and_studios_survive_a_killed_server(tmp_path: Path) -> None:
    # Without namespaces, the test and the jobs share files by a relative path.
    cloud = LocalCloud(tmp_path / "root", namespaces=False)
    cloud.start()
    run(cloud, SUBMIT)
    lost = tmp_path / "root" / "lost"
    deadline = time.monotonic() + 120
    while not (lost.exists() and lost.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    cloud.kill()
    pid = int(lost.read_text())
    # The process ends together with the shell that would have recorded its exit code.
    os.kill(os.getpgid(pid), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        # The process may be the leader of its group, and already dead.
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    cloud.start()
    (tmp_path / "root" / "go").touch()
    lines = run(cloud, LOOK).splitlines()
    assert lines == [
        "studio Running kept",
        "done Completed ['finished']",
        "goes-on Completed ['begun', 'went', 'on']",
        "ends-meanwhile Failed ['meanwhile']",
        "is-lost Failed []",
        "several Completed ['[several-0]', '0', '[several-1]', '1']",
        "['file']",
        "True",
    ]
    cloud.stop()


def test_what_was_half_made_is_gone_after_a_restart(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "root") as cloud:
        run(cloud, "from lightning_sdk import Studio; Studio('whole')")
    root = tmp_path / "root"
    for kind in ("studios", "jobs", "commands", "trash"):
        (root / kind / "halfmade" / "home").mkdir(parents=True)
    (root / "uploads" / "partial").mkdir(parents=True)
    (root / "uploads" / "partial" / ("0" * 32)).write_text("x")
    (root / "trash" / ("1" * 32)).mkdir()
    (root / "trash" / ("1" * 32) / "file").write_text("x")
    with LocalCloud(root) as cloud:
        left = [kind for kind in ("studios", "jobs", "commands") if (root / kind / "halfmade").exists()]
        assert left == []
        deadline = time.monotonic() + 120
        places = [root / "uploads" / "partial", root / "trash"]
        while any(any(place.iterdir()) for place in places) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [list(place.iterdir()) for place in places] == [[], []]
        assert not (root / "lost+found").exists()
        assert "whole" in run(cloud, "from lightning_sdk import Studio; print(Studio('whole', create_ok=False).name)")


def test_the_server_may_be_killed_at_any_moment_of_a_studios_life(tmp_path: Path) -> None:
    life = """
import sys
from lightning_sdk import Studio
studio = Studio(sys.argv[1])
studio.start()
studio.run("echo x > file")
studio.stop()
studio.delete()
"""
    cloud = LocalCloud(tmp_path / "root")
    for number, seconds in enumerate((0.0, 0.6, 1.0, 1.2, 1.4, 1.6)):
        cloud.start()
        argv = [sys.executable, "-W", "ignore", "-c", life, f"life-{number}"]
        client = subprocess.Popen(argv, env={**os.environ, **cloud.environ}, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        cloud.kill()
        client.kill()
        client.wait()
    cloud.start()
    # Every studio that is left is complete: it can be started, used and deleted.
    output = run(
        cloud,
        """
from lightning_sdk import Status, Studio, Teamspace
for studio in Teamspace("local-teamspace", user="local-user").studios:
    if studio.status != Status.Running:
        studio.start()
    studio.run("echo whole")
    studio.delete()
print(len(Teamspace("local-teamspace", user="local-user").studios))
""",
    )
    assert output.strip() == "0"
    cloud.stop()
