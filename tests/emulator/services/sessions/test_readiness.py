"""A studio that runs is not ready: its aliases refuse to work, and the SDK's start goes on."""

from pathlib import Path

import pytest
from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud

REFUSAL = (
    "Error: We are still setting things up for you, please try again after the progress bar at the top of the Studio "
    "disappears."
)
# A studio is ready after an hour, which no test waits for, unless it asks for another time.
HOUR = {"ready_seconds": 3600}


@pytest.mark.parametrize("namespaces", [True, False])
def test_python_pip_and_uv_refuse_to_work_in_a_studio_that_is_not_ready(tmp_path: Path, namespaces: bool) -> None:
    script = """
    import json
    from lightning_sdk import Machine, Studio
    studio = Studio("early")
    studio.start()
    answers = [studio.run_with_exit_code(c) for c in ("python -c pass", "python3 -c pass", "pip --version", "uv help")]
    others = [studio.run_with_exit_code(command) for command in ("true", "sh -c 'echo shell'", "touch file; ls file")]
    studio.switch_machine(Machine.L4)
    # The new machine has to be set up as well.
    print(json.dumps([answers, others, studio.run_with_exit_code("python -c pass")]))
    """
    with LocalCloud(tmp_path / "root", namespaces=namespaces, parts=HOUR) as cloud:
        answers, others, again = answer_of(cloud, script)
    assert answers == [[REFUSAL, 1]] * 4
    assert others == [["", 0], ["shell", 0], ["file", 0]]
    assert again == [REFUSAL, 1]


def test_a_studio_becomes_ready_also_for_a_command_that_waits_for_it(tmp_path: Path) -> None:
    script = """
    import json
    from lightning_sdk import Studio
    studio = Studio("waiting")
    studio.start()
    # One command that begins before the studio is ready.
    studio.run("until python -c pass; do sleep 0.1; done; pip --version; uv --version")
    codes = [studio.run_with_exit_code(command)[1] for command in ("python3 -c pass", "pip --version", "uv --version")]
    print(json.dumps([*codes, studio.run("python -c 'import sys; print(sys.prefix)'")]))
    """
    with LocalCloud(tmp_path / "root", parts={"ready_seconds": 7200}, clock_rate=3600) as cloud:
        *codes, prefix = answer_of(cloud, script)
    assert codes == [0, 0, 0]
    assert prefix.endswith("/environment")


def test_a_job_has_a_machine_that_is_ready(tmp_path: Path) -> None:
    script = """
    import json
    from lightning_sdk import Job, Machine, Studio
    studio = Studio("with-job")
    studio.start()
    job = Job.run("ready", machine=Machine.CPU, command="python -c 'print(6 * 7)'", studio=studio)
    job.wait(interval=0.1)
    print(json.dumps([str(job.status), job.logs.strip(), studio.run_with_exit_code("python -c pass")[1]]))
    """
    with LocalCloud(tmp_path / "root", parts=HOUR) as cloud:
        assert answer_of(cloud, script) == ["Completed", "42", 1]


def test_a_restarted_server_still_knows_that_a_studio_is_not_ready(tmp_path: Path) -> None:
    script = """
    import json, sys
    from lightning_sdk import Studio
    studio = Studio("kept")
    if sys.argv[1] == "start":
        studio.start()
    print(json.dumps(studio.run_with_exit_code("python -c pass")[1]))
    """
    cloud = LocalCloud(tmp_path / "root", parts=HOUR)
    cloud.start()
    try:
        assert answer_of(cloud, script, "start") == 1
        cloud.kill()
        cloud.start()
        assert answer_of(cloud, script, "again") == 1
    finally:
        cloud.stop()


START = """
import json, threading, time
from lightning_sdk import Status, Studio
studio = Studio("blocked")
call = threading.Thread(target=studio.start, daemon=True)
call.start()
deadline = time.monotonic() + 240
while studio.status != Status.Running and time.monotonic() < deadline:
    time.sleep(0.1)
answers = [studio.run("echo usable"), call.is_alive()]
"""


def test_the_start_of_a_studio_goes_on_while_it_runs(tmp_path: Path) -> None:
    script = f"import os\n{START}\nprint(json.dumps(answers), flush=True)\nos._exit(0)"
    with LocalCloud(tmp_path / "root", parts={"restore_seconds": 3600}) as cloud:
        assert answer_of(cloud, script) == ["usable", True]


def test_the_start_of_a_studio_ends_when_its_files_are_restored(tmp_path: Path) -> None:
    script = f"{START}\ncall.join(240)\nprint(json.dumps([answers[0], call.is_alive()]))"
    with LocalCloud(tmp_path / "root", parts={"restore_seconds": 1}) as cloud:
        assert answer_of(cloud, script) == ["usable", False]


def test_a_start_can_block_until_its_fault_is_removed(tmp_path: Path) -> None:
    script = f"{START}\ncall.join(3)\nprint(json.dumps([*answers, call.is_alive()]), flush=True)\nos._exit(0)"
    with LocalCloud(tmp_path / "root") as cloud:
        fault = cloud.faults.add("start-blocks", name="blocked")
        assert answer_of(cloud, f"import os\n{script}") == ["usable", True, True]
        cloud.faults.remove(fault.id)
        again = """
        import json, time
        from lightning_sdk import Studio
        studio = Studio("blocked")
        deadline = time.monotonic() + 240
        while not studio._studio_api._check_code_status_top_up_restore_finished(studio.id, studio.teamspace.id):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        print(json.dumps(True))
        """
        assert answer_of(cloud, again) is True


@pytest.mark.parametrize("by_fault", [True, False])
def test_a_refused_switch_happens_all_the_same(tmp_path: Path, by_fault: bool) -> None:
    script = """
    import json, time
    from lightning_sdk import Machine, Studio
    studio = Studio("switched")
    studio.start(Machine.CPU)
    def machine():
        return studio._studio_api.get_studio_status(studio.id, studio.teamspace.id).in_use.compute_config.name
    seen = [machine()]
    try:
        studio.switch_machine(Machine.L4)
    except Exception as error:
        seen += [error.status, json.loads(error.body)["message"], machine()]
    deadline = time.monotonic() + 240
    while machine() != "lit-l4-1" and time.monotonic() < deadline:
        time.sleep(0.1)
    print(json.dumps([*seen, machine()]))
    """
    # The new machine boots for two real seconds, in which the refused studio has the old one.
    settings = {"boot_seconds": 2, "parts": {} if by_fault else {"switch_refused": True}}
    with LocalCloud(tmp_path / "root", **settings) as cloud:
        if by_fault:
            cloud.faults.add("switch-refused", machine="lit-l4-1")
        assert answer_of(cloud, script) == ["cpu-4", 400, "cannot switch to a Studio", "cpu-4", "lit-l4-1"]
