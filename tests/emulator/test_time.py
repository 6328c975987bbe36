import os
import subprocess
import sys
import time
from pathlib import Path

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.clock import Clock, timestamp


def run(cloud: LocalCloud, script: str) -> list[str]:
    """Run a script that uses the SDK, in a process of its own, and return its output."""
    argv = [sys.executable, "-W", "ignore", "-c", script]
    environ = {**os.environ, **cloud.environ}
    result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=400)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_boots_queues_and_prices_follow_the_simulated_clock(tmp_path: Path) -> None:
    script = """
from lightning_sdk import Job, Machine, Studio
studio = Studio("timed")
studio.start()
job = Job.run("timed", machine=Machine.L4, command="sleep 1", studio=studio)
job.wait(interval=0.05)
created = job._job.created_at
print((job.started_at - created).total_seconds())
print((job.stopped_at - job.started_at).total_seconds())
print(job.total_cost)
studio.delete()
"""
    # An hour passes in two seconds.
    settings = {"boot_seconds": 900, "machine_seconds": {"lit-l4-1": 1800}, "clock_rate": 1800}
    with LocalCloud(tmp_path / "root", **settings) as cloud:
        begun = time.monotonic()
        queued, ran, cost = map(float, run(cloud, script))
        assert time.monotonic() - begun >= 2.5
    assert queued >= 1800
    assert ran >= 1800
    assert abs(cost - ran / 3600 * 0.79) < 0.01 * cost


def test_an_idle_studio_goes_to_sleep_and_a_busy_one_does_not(tmp_path: Path) -> None:
    script = """
import os, time
# Without these the SDK's own reports keep a studio awake.
os.environ["LIGHTNING_KEEPALIVE_FREQUENCY"] = "1000"
from lightning_sdk import Status, Studio
idle, busy, awake = Studio("idle"), Studio("busy"), Studio("awake")
for studio in (idle, busy, awake):
    studio.start()
awake.auto_sleep = False
busy.run("setsid sleep 1000 >/dev/null 2>&1 &")
deadline = time.monotonic() + 120
while idle.status != Status.Stopped and time.monotonic() < deadline:
    time.sleep(0.1)
time.sleep(1.5)
print(idle.status, busy.status, awake.status)
os._exit(0)
"""
    # The ten minutes until an idle studio sleeps pass in two seconds.
    with LocalCloud(tmp_path / "root", clock_rate=300) as cloud:
        argv = script.replace("os._exit(0)", "import sys; sys.stdout.flush(); os._exit(0)")
        assert run(cloud, argv) == ["Stopped Running Running"]


def test_simulated_time_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    script = """
from lightning_sdk import Studio
print(Studio("any")._studio_api.find_studio("NAME", Studio("any").teamspace.id) is None)
print(Studio("NAME")._studio.created_at.timestamp())
"""
    moments = []
    for name in ("first", "second"):
        with LocalCloud(tmp_path / "root", clock_rate=100_000) as cloud:
            moments.append(float(run(cloud, script.replace("NAME", name))[-1]))
    assert moments[1] > moments[0] > time.time()


def test_the_clock_runs_at_its_rate_from_where_it_starts() -> None:
    clock = Clock(1000.0, start=5000.0)
    before = time.monotonic()
    first = clock.now()
    time.sleep(0.05)
    second = clock.now()
    assert first >= 5000.0
    assert 50 <= second - first <= (time.monotonic() - before) * 1000
    assert timestamp(0.25) == "1970-01-01T00:00:00.250Z"
    assert timestamp(None) is None
