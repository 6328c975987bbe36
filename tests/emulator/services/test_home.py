import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from lightning_native.emulator import LocalCloud

HOME = "/teamspace/studios/this_studio"


@pytest.fixture
def at_home(studio: Any) -> Any:
    """A studio in a mount namespace, or a skipped test where the kernel allows none."""
    if studio.run("echo ~") != HOME:
        pytest.skip("this kernel does not let this user have a mount namespace")
    return studio


def test_home_is_where_the_platform_has_it(at_home: Any, sdk: Any) -> None:
    at_home.run("echo content > file")
    assert at_home.run(f"cd {HOME} && pwd && cat ~/file") == f"{HOME}\ncontent"
    other = sdk.Studio(f"other-{uuid4().hex[:6]}")
    other.start()
    assert other.run_with_exit_code(f"cat {HOME}/file")[1] == 1
    other.delete()


def test_the_teamspace_drive_is_a_folder(at_home: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("shared")
    at_home.teamspace.upload_file(tmp_path / "file", "folder/file", progress_bar=False, cloud_account="any")
    assert at_home.run("cat /teamspace/folder/file") == "shared"
    assert "studios" in [entry.path for entry in at_home.teamspace.list_files()]
    at_home.run("echo mine > mine.txt")
    listed = [entry.path for entry in at_home.teamspace.list_files(f"studios/{at_home.name}")]
    assert "mine.txt" in listed
    assert "this_studio" not in [entry.path for entry in at_home.teamspace.list_files("studios")]


def test_jobs_are_at_home_too(at_home: Any, sdk: Any) -> None:
    command = f"cd {HOME} && pwd; echo ~; ls /teamspace/studios | grep -e this_studio -e {at_home.name}"
    job = sdk.Job.run(name=f"home-{uuid4().hex[:6]}", machine="CPU", command=command, studio=at_home)
    job.wait(interval=0.02)
    assert str(job.logs).splitlines() == [HOME, HOME, at_home.name, "this_studio"]


def test_a_process_that_wiped_its_environment_dies_with_the_studio(at_home: Any) -> None:
    mark = uuid4().hex
    at_home.run(f"env -i setsid bash -c 'sleep 600; : {mark}' >/dev/null 2>&1 & sleep 0.2")

    def alive() -> list[psutil.Process]:
        found = [item for item in psutil.process_iter(["cmdline"]) if mark in " ".join(item.info["cmdline"] or [])]
        return [item for item in found if item.is_running() and item.status() != psutil.STATUS_ZOMBIE]

    deadline = time.monotonic() + 120
    while not alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive()
    at_home.stop()
    assert alive() == []


def test_code_inside_a_studio_finds_itself(studio: Any) -> None:
    script = """
import os
from lightning_sdk import Job, Studio
studio = Studio()
print(studio.name, studio.run("echo from within"))
job = Job.run(name=os.environ["NAME"], machine="CPU", command="echo from a job")
job.wait(interval=0.05)
print(job.studio_name, str(job.logs))
"""
    studio.run(f"cat > inside.py <<'END'\n{script}\nEND")
    name = f"inside-{uuid4().hex[:6]}"
    output = studio.run(f"NAME={name} python inside.py 2>/dev/null")
    assert output.splitlines() == [f"{studio.name} from within", f"{studio.name} from a job"]


def test_code_inside_a_job_finds_its_studio(sdk: Any, studio: Any) -> None:
    studio.run("echo 'from lightning_sdk import Studio; print(Studio().name)' > inside.py")
    options = {"machine": "CPU", "studio": studio, "reuse_snapshot": False}
    job = sdk.Job.run(name=f"inside-{uuid4().hex[:6]}", command="python inside.py 2>/dev/null", **options)
    job.wait(interval=0.05)
    assert str(job.logs) == studio.name


def test_without_a_namespace_home_is_the_folder_itself(tmp_path: Path) -> None:
    script = "from lightning_sdk import Studio\ns = Studio('plain')\ns.start()\nprint(s.run('echo ~; pwd'))\ns.delete()"
    with LocalCloud(tmp_path / "root", namespaces=False) as cloud:
        argv = [sys.executable, "-c", script]
        environ = {"PATH": "/usr/bin:/bin", **cloud.environ}
        result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
        first, second = result.stdout.split()
        assert first == second
        assert Path(first).is_relative_to(tmp_path / "root")
