import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lightning_native.emulator import Faults
from lightning_native.emulator.state.faults import KINDS
from lightning_native.errors import EmulatorError


@pytest.fixture
def faults(lightning_cloud: Any) -> Iterator[Faults]:
    yield lightning_cloud.faults
    lightning_cloud.faults.clear()


def lines_in(name: str, studio: Any, expected: int) -> int:
    """Return the number of lines in a studio's file, once it has as many as expected."""
    deadline = time.monotonic() + 120
    while (found := int(studio.run(f"wc -l < {name}"))) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_status_before_the_action_is_retried_by_the_sdk_and_heals(studio: Any, faults: Faults) -> None:
    faults.add("status", match="POST */execute", status=503, times=1)
    assert studio.run("echo x >> ran; wc -l < ran") == "1"
    assert faults.list() == []


def test_a_status_after_the_action_makes_the_sdk_run_a_command_twice(studio: Any, faults: Faults) -> None:
    faults.add("status", match="POST */execute", status=503, after_accept=True)
    studio.run("echo x >> ran")
    assert lines_in("ran", studio, 2) == 2


def test_a_status_after_the_action_makes_the_sdk_submit_a_job_twice(sdk: Any, studio: Any, faults: Faults) -> None:
    faults.add("status", match="POST */jobs", status=503, after_accept=True)
    name = f"twice-{uuid4().hex[:6]}"
    with pytest.warns(UserWarning, match="already taken"):
        job = sdk.Job.run(name=name, machine="CPU", command="true", studio=studio)
    found = [item for item in studio.teamspace.jobs if item.name.startswith(name)]
    assert sorted(item.name for item in found) == [name, f"{name}-2"]
    assert job.name == f"{name}-2"
    for item in found:
        item.delete()


def test_a_status_after_the_action_makes_the_sdk_create_a_studio_again_and_again(
    sdk: Any, lightning_cloud: Any, faults: Faults
) -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "fault", "add", f"--root={lightning_cloud.root}"]
    argv += ["--match", "POST */cloudspaces", "--status", "503", "--after-accept", "--times", "2"]
    subprocess.run(argv, check=True, capture_output=True)
    name = f"again-{uuid4().hex[:6]}"
    studio = sdk.Studio(name)
    assert faults.list() == []
    found = [item for item in studio.teamspace.studios if item.name.startswith(name)]
    # The SDK has the last one; no client has a record of the others.
    assert sorted(item.name for item in found) == [name, f"{name}-2", f"{name}-3"]
    assert studio.name == f"{name}-3"
    for item in found:
        item.delete()


def test_a_client_error_loses_its_message_in_the_sdk(studio: Any, faults: Faults) -> None:
    faults.add("status", match="POST */execute", status=409, times=3)
    with pytest.raises(Exception, match="failed to reach the server, response: 409"):
        studio.run("true")
    assert faults.list() == []


def test_a_delay_makes_a_call_slow_and_nothing_else(studio: Any, faults: Faults) -> None:
    faults.add("delay", match="GET */codestatus", seconds=0.5)
    begun = time.monotonic()
    assert studio.status.name == "Running"
    assert time.monotonic() - begun >= 0.5
    assert studio.run("echo on") == "on"


@pytest.mark.parametrize(("after_accept", "lines"), [(False, 1), (True, 2)])
def test_a_broken_connection_is_retried_by_the_sdk(studio: Any, faults: Faults, after_accept: bool, lines: int) -> None:
    faults.add("reset", match="POST */execute", after_accept=after_accept)
    studio.run("echo x >> ran")
    assert lines_in("ran", studio, lines) == lines


@pytest.mark.parametrize("kind", ["truncate", "corrupt"])
def test_a_damaged_upload_is_not_noticed_by_the_sdk(studio: Any, faults: Faults, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_bytes(b"0123456789" * 1000)
    faults.add(kind)
    studio.upload_file(str(tmp_path / "file"), progress_bar=False)
    size = int(studio.run("stat -c %s file"))
    assert size == (5000 if kind == "truncate" else 10000)
    studio.upload_file(str(tmp_path / "file"), "whole", progress_bar=False)
    assert studio.run_with_exit_code("cmp file whole")[1] == 1


def test_a_full_disk_is_retried_until_there_is_room(studio: Any, faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    faults.add("full-disk", times=1)
    studio.upload_file(str(tmp_path / "file"), progress_bar=False)
    assert studio.run("cat file") == "x"
    assert faults.list() == []


def test_an_expired_key_is_told_as_such(studio: Any, faults: Faults) -> None:
    faults.add("expired-key", match="GET */codestatus")
    with pytest.raises(ConnectionError, match="Authentication failed"):
        _ = studio.status
    assert studio.status.name == "Running"


def test_a_machine_out_of_capacity_is_told_before_the_start(sdk: Any, faults: Faults) -> None:
    from lightning_sdk.exceptions import OutOfCapacityError

    studio = sdk.Studio(f"capacity-{uuid4().hex[:6]}")
    fault = faults.add("out-of-capacity", machine="lit-h100-1", times=0)
    with pytest.raises(OutOfCapacityError):
        studio.start(sdk.Machine.H100)
    assert sdk.Machine.H100 not in studio.teamspace.list_machines()
    faults.remove(fault.id)
    assert sdk.Machine.H100 in studio.teamspace.list_machines()
    studio.start(sdk.Machine.H100)
    assert studio.machine == sdk.Machine.H100
    studio.delete()


def test_a_job_stays_pending_while_its_machine_is_out_of_capacity(sdk: Any, studio: Any, faults: Faults) -> None:
    fault = faults.add("out-of-capacity", machine="lit-l4-1", times=0)
    job = sdk.Job.run(name=f"queued-{uuid4().hex[:6]}", machine=sdk.Machine.L4, command="true", studio=studio)
    time.sleep(0.3)
    assert job.status == sdk.Status.Pending
    faults.remove(fault.id)
    job.wait(interval=0.02, timeout=300)
    assert job.status == sdk.Status.Completed


def test_a_boot_that_fails_is_told_with_its_reason_and_may_be_tried_again(sdk: Any, faults: Faults) -> None:
    studio = sdk.Studio(f"boot-{uuid4().hex[:6]}")
    faults.add("boot-fails", name=studio.name)
    with pytest.raises(RuntimeError, match=r"failed to start .* the machine failed to start"):
        studio.start()
    while studio.status == sdk.Status.Failed:
        time.sleep(0.05)
    studio.start()
    assert studio.run("echo up") == "up"
    studio.delete()


def test_a_boot_that_hangs_is_pending_until_it_is_stopped(sdk: Any, lightning_cloud: Any, faults: Faults) -> None:
    assert lightning_cloud
    studio = sdk.Studio(f"hang-{uuid4().hex[:6]}")
    faults.add("boot-hangs", name=studio.name)
    # The SDK's own start would wait for ever.
    studio._studio_api.start_studio_async(studio.id, studio.teamspace.id, sdk.Machine.CPU)
    assert studio.status == sdk.Status.Pending
    studio.stop()
    assert studio.status == sdk.Status.Stopped
    studio.delete()


def test_a_studio_that_dies_ends_its_command_and_is_stopped(sdk: Any, studio: Any, faults: Faults) -> None:
    faults.add("studio-dies", name=studio.name, seconds=0.3)
    assert studio.run_with_exit_code("sleep 600")[1] == 137
    while studio.status == sdk.Status.Stopping:
        time.sleep(0.02)
    assert studio.status == sdk.Status.Stopped
    with pytest.raises(RuntimeError, match="not running"):
        studio.run("true")


@pytest.mark.parametrize(
    ("attempts", "status", "kind"),
    [(2, "Completed", "interrupt"), (1, "Failed", "interrupt"), (1, "Failed", "reclaim")],
)
def test_an_interrupted_job_starts_again_if_it_may(
    sdk: Any, studio: Any, faults: Faults, attempts: int, status: str, kind: str, tmp_path: Path
) -> None:
    name = f"spot-{uuid4().hex[:6]}"
    tried = tmp_path / "tried"
    command = f"[ -e {tried} ] || {{ touch {tried}; sleep 600; }}"
    options = {"machine": "CPU", "studio": studio, "interruptible": True, "max_run_attempts": attempts}
    job = sdk.Job.run(name=name, command=command, **options)
    while not tried.exists():
        time.sleep(0.02)
    faults.add(kind, name=name, seconds=0.2)
    job.wait(interval=0.02, timeout=300)
    assert job.status.name == status
    assert job.current_run_attempt == attempts
    assert faults.list() == []


def test_faults_fire_exactly_as_often_as_asked(studio: Any, faults: Faults) -> None:
    faults.add("delay", match="GET */codestatus", times=2)
    assert [fault.fired for fault in faults.list()] == [0]
    _ = studio.status
    assert [fault.fired for fault in faults.list()] == [1]
    _ = studio.status
    assert faults.list() == []


def test_every_kind_is_documented_and_checked(faults: Faults) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "emulator.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
    with pytest.raises(EmulatorError, match="'explode' is no fault"):
        faults.add("explode")
    with pytest.raises(EmulatorError, match="200 is no error status"):
        faults.add("status", status=200)
    with pytest.raises(EmulatorError, match="`match` is for requests"):
        faults.add("boot-fails", match="*")
    with pytest.raises(EmulatorError, match="unexpected keyword argument 'colour'"):
        faults.add("status", colour="red")
    with pytest.raises(EmulatorError, match="fault 999 not found"):
        faults.remove(999)


def test_the_command_line_adds_lists_and_removes(lightning_cloud: Any, faults: Faults) -> None:
    def emulator(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "lightning_native", "emulator", "fault", *arguments]
        return subprocess.run(argv, check=False, capture_output=True, text=True)

    root = f"--root={lightning_cloud.root}"
    added = emulator("add", "--match", "POST */execute", "--status", "503", "--after-accept", "--times", "2", root)
    assert added.returncode == 0, added.stderr
    fault = faults.list()[0]
    assert (fault.kind, fault.match, fault.after_accept, fault.times) == ("status", "POST */execute", True, 2)
    assert f"{fault.id}  status POST */execute  fired 0 of 2 times" in emulator("list", root).stdout
    assert emulator("remove", str(fault.id), root).returncode == 0
    assert faults.list() == []
    gone = emulator("list", f"--root={lightning_cloud.root / 'nowhere'}")
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: no local cloud runs in ")
    assert emulator("add", "explode", root).returncode == 2
