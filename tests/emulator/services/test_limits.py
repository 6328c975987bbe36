"""The limits of an account without a plan: active studios, GPUs at once, and the length of a session."""

from pathlib import Path

import pytest
from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud

REFUSED = """
import json
from lightning_sdk import Job, Machine, Studio

def refusal(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        while error is not None and not getattr(error, "body", None):
            error = error.__cause__ or error.__context__
        return [error.status, json.loads(error.body)["message"]]
    return "none"
"""


def test_an_account_without_a_plan_has_one_active_studio(tmp_path: Path) -> None:
    script = f"""{REFUSED}
first, second = Studio("first"), Studio("second")
first.start()
refused = refusal(second.start)
first.stop()
print(json.dumps([refused, refusal(second.start)]))
"""
    with LocalCloud(tmp_path / "root", parts={"max_studios": 1}) as cloud:
        refused, then = answer_of(cloud, script)
    assert refused == [400, "your plan allows 1 active studio at a time; stop one, or upgrade your plan"]
    assert then == "none"


def test_gpus_of_studios_and_jobs_count_together(tmp_path: Path) -> None:
    script = f"""{REFUSED}
studio = Studio("gpus")
studio.start(Machine.T4)
job = Job.run("one", machine=Machine.L4, command="sleep 900", studio=studio)
seen = [refusal(Job.run, "two", machine=Machine.L4, command="true", studio=studio)]
seen.append(refusal(Job.run, "cpu", machine=Machine.CPU, command="true", studio=studio))
# Another machine of the same studio takes the place of its present one.
seen.append(refusal(studio.switch_machine, Machine.L4))
seen.append(refusal(studio.switch_machine, Machine.L4_X_4))
job.stop()
seen.append(refusal(Job.run, "three", machine=Machine.L4, command="true", studio=studio))
print(json.dumps(seen))
"""
    with LocalCloud(tmp_path / "root", parts={"max_gpus": 2}) as cloud:
        seen = answer_of(cloud, script)
    words = "your plan allows 2 GPUs at a time, and {} are in use; upgrade your plan for more"
    assert seen == [[400, words.format(2)], "none", "none", [400, words.format(1)], "none"]


SESSION = """
import json, sys, time
from lightning_sdk import Machine, Status, Studio
studio = Studio("session")
studio.start(getattr(Machine, sys.argv[1]))
def machine_id():
    in_use = studio._studio_api.get_studio_status(studio.id, studio.teamspace.id).in_use
    return in_use.cloud_space_instance_id if in_use else ""
first = machine_id()
studio.run("echo kept > file; setsid sleep 86400 >/dev/null 2>&1 &")
deadline = time.monotonic() + float(sys.argv[2])
while machine_id() in ("", first) and time.monotonic() < deadline:
    time.sleep(0.1)
restarted = machine_id() != first
count = "ps axeww | grep -c '[s]leep 86400.*LIGHTNING_CLOUD_SPACE_ID='$LIGHTNING_CLOUD_SPACE_ID || true"
while True:
    try:
        print(json.dumps([restarted, studio.run("cat file"), int(studio.run(count))]))
        break
    except Exception:
        # The next session may be over already.
        time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("max_studios", "machine", "restarted"), [(1, "CPU", True), (0, "A100", True), (0, "CPU", False)]
)
def test_a_session_ends_in_a_restart(tmp_path: Path, max_studios: int, machine: str, restarted: bool) -> None:
    parts = {"session_seconds": 4 * 3600, "max_studios": max_studios}
    # Four hours pass in four seconds; a studio with a plan and a common machine is observed for longer than that.
    with LocalCloud(tmp_path / "root", parts=parts, clock_rate=3600) as cloud:
        seconds, processes = ("240", 0) if restarted else ("6", 1)
        assert answer_of(cloud, SESSION, machine, seconds) == [restarted, "kept", processes]
