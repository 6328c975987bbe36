import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest


def processes_with(text: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and text in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_studio_lives_its_whole_life(sdk: Any, tmp_path: Path) -> None:
    studio = sdk.Studio("whole-life")
    assert sdk.Studio("whole-life", create_ok=False).id == studio.id
    assert studio.status == sdk.Status.Stopped
    studio.start(sdk.Machine.CPU)
    assert studio.status == sdk.Status.Running
    assert studio.machine == sdk.Machine.CPU
    assert studio.run("echo one", "echo two") == "one\ntwo"

    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(1_000_000))
    studio.upload_file(str(source), "folder/copy.bin", progress_bar=False)
    assert studio.run("stat -c %s folder/copy.bin") == "1000000"
    studio.download_file("folder/copy.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()

    studio.switch_machine(sdk.Machine.L4)
    assert studio.machine == sdk.Machine.L4
    assert studio.run("stat -c %s folder/copy.bin") == "1000000"
    studio.stop()
    assert studio.status == sdk.Status.Stopped
    studio.start(sdk.Machine.CPU)
    assert studio.run("stat -c %s folder/copy.bin") == "1000000"
    studio.delete()
    with pytest.raises(ValueError, match="does not exist"):
        sdk.Studio("whole-life", create_ok=False)


def test_exit_code_and_both_streams_come_back(studio: Any) -> None:
    assert studio.run_with_exit_code("echo out; echo err >&2; exit 3") == ("out\nerr", 3)
    with pytest.raises(RuntimeError, match="broken"):
        studio.run("echo broken; false")


def test_output_of_any_bytes_and_length_comes_back_whole(studio: Any) -> None:
    text = studio.run("python -c \"print('a\\u2028b\\x85c' + 'x' * 3_000_000)\"")
    assert text == "a\u2028b\x85c" + "x" * 3_000_000
    assert studio.run(r"printf '\xff\xfe'") == "\ufffd\ufffd"


def test_a_command_may_be_longer_than_an_argument_of_the_kernel(studio: Any) -> None:
    assert studio.run("echo " + "y" * 500_000) == "y" * 500_000


def test_a_command_waits_longer_than_one_poll(studio: Any) -> None:
    assert studio.run("sleep 1.2; echo late") == "late"


def test_the_environment_is_that_of_a_studio(studio: Any) -> None:
    environment = dict(line.split("=", 1) for line in studio.run("env").splitlines() if "=" in line)
    assert environment["LIGHTNING_CLOUD_SPACE_ID"] == studio.id
    assert environment["LIGHTNING_CLOUD_PROJECT_ID"] == studio.teamspace.id
    assert environment["LIGHTNING_API_KEY"] == os.environ["LIGHTNING_API_KEY"]
    assert environment["HOME"] == studio.run("cd ~; pwd") == studio.run("pwd")
    assert "PYTEST_CURRENT_TEST" not in environment
    assert not [name for name in environment if name.startswith("PYTEST")]


def test_a_detached_process_outlives_its_command_and_dies_with_the_studio(studio: Any) -> None:
    detached, daemon = uuid4().hex, uuid4().hex
    studio.run(f"setsid python -c 'import time; time.sleep(600)  # {detached}' & echo started")
    # A daemon has a session of its own, and neither its parent nor its output.
    studio.run(f"(setsid sh -c 'trap \"\" TERM; sleep 600; : {daemon}' >/dev/null 2>&1 &)")
    deadline = time.monotonic() + 120
    # Without a comparison of counts, because a shell that has just forked has its command line twice.
    while not (processes_with(detached) and processes_with(daemon)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    studio.stop()
    assert processes_with(detached) + processes_with(daemon) == []


def test_switching_the_machine_ends_processes_and_keeps_files(sdk: Any, studio: Any) -> None:
    mark = uuid4().hex
    studio.run(f"echo kept > file; setsid python -c 'import time; time.sleep(600)  # {mark}' & echo")
    studio.switch_machine(sdk.Machine.T4)
    assert processes_with(mark) == []
    assert studio.run("cat file") == "kept"


# The price list lacks some of the SDK's machines, and has another name for one family.
@pytest.mark.filterwarnings("ignore:.*hasn't been vetted by Lightning")
def test_every_machine_of_the_sdk_starts_and_is_reported(sdk: Any) -> None:
    machines = [value for value in vars(sdk.Machine).values() if isinstance(value, sdk.Machine)]
    assert len(machines) > 40
    studio = sdk.Studio("all-machines")
    for machine in machines:
        studio.start(machine)
        assert studio.machine == machine
        studio.stop()
    studio.delete()


def test_an_unknown_machine_is_refused(sdk: Any) -> None:
    studio = sdk.Studio("unknown-machine")
    with pytest.warns(UserWarning, match="custom instance"), pytest.raises(Exception, match="no machine warp-drive"):
        studio.start("warp-drive")
    assert studio.status == sdk.Status.Stopped
    studio.delete()


def test_folders_go_up_and_down(studio: Any, tmp_path: Path) -> None:
    (tmp_path / "up" / "deep").mkdir(parents=True)
    names = ["plain.txt", "with blank.txt", "café.txt", "deep/own.py", "plus+and&.txt"]
    for name in names:
        (tmp_path / "up" / name).write_text(name)
    studio.upload_folder(str(tmp_path / "up"), "target", progress_bar=False)
    studio.download_folder("target", str(tmp_path / "down"))
    assert {name: (tmp_path / "down" / name).read_text() for name in names} == {name: name for name in names}


def test_an_empty_file_and_one_of_many_parts_arrive(
    studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch()
    studio.upload_file(str(tmp_path / "empty"), progress_bar=False)
    assert studio.run("stat -c %s empty") == "0"
    monkeypatch.setenv("LIGHTNING_MULTIPART_THRESHOLD", "1000")
    monkeypatch.setenv("LIGHTNING_MULTI_PART_PART_SIZE", "100000")
    content = os.urandom(1_234_567)
    (tmp_path / "large").write_bytes(content)
    studio.upload_file(str(tmp_path / "large"), progress_bar=False)
    studio.download_file("large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_uploading_over_a_script_keeps_it_executable(studio: Any, tmp_path: Path) -> None:
    studio.run("printf '#!/bin/sh\\necho old' > script; chmod +x script")
    (tmp_path / "script").write_text("#!/bin/sh\necho new")
    studio.upload_file(str(tmp_path / "script"), progress_bar=False)
    assert studio.run("./script") == "new"
