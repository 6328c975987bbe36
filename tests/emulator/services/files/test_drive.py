"""The drive as machines see it: folders that appear later, that are read-only, and that belong to other studios."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud
from lightning_native.errors import EmulatorError

NEW_FOLDER = """
import json, pathlib, sys, time
from lightning_sdk import Studio, Teamspace
from lightning_sdk.api.filesystem_api import FilesystemApi
running, later = Studio("running"), Studio("later")
running.start()
pathlib.Path(sys.argv[1]).write_text("content")
drive, teamspace = FilesystemApi(), running.teamspace.id
drive.upload_file(teamspace, sys.argv[1], "lightning_storage/new/file", progress_bar=False)
show = "cat /teamspace/lightning_storage/new/file"
"""


def test_a_running_machine_sees_a_new_folder_of_the_drive_only_after_a_time(tmp_path: Path) -> None:
    script = f"""{NEW_FOLDER}
seen = [running.run_with_exit_code(show)[1]]
drive.upload_file(teamspace, sys.argv[1], "lightning_storage/new/second", progress_bar=False)
# A machine that starts later sees it at once.
later.start()
print(json.dumps([*seen, later.run(show), later.run("ls /teamspace/lightning_storage/new").split()]))
"""
    with LocalCloud(tmp_path / "root", parts={"mount_seconds": 3600}) as cloud:
        assert answer_of(cloud, script, str(tmp_path / "file")) == [1, "content", ["file", "second"]]


def test_a_running_machine_sees_a_new_folder_of_the_drive_in_the_end(tmp_path: Path) -> None:
    script = f"""{NEW_FOLDER}
running.run(f"until {{show}}; do sleep 0.1; done")
print(json.dumps(running.run(show)))
"""
    with LocalCloud(tmp_path / "root", parts={"mount_seconds": 1}) as cloud:
        assert answer_of(cloud, script, str(tmp_path / "file")) == "content"


@pytest.mark.parametrize("strict", [False, True])
def test_jobs_write_to_their_home_and_not_to_jobs_and_uploads(tmp_path: Path, strict: bool) -> None:
    script = """
    import json
    from lightning_sdk import Job, Machine, Studio
    studio, other = Studio("writing"), Studio("other")
    other.start()
    other.run("echo of-the-other > file")
    tries = [f"touch /teamspace/{place}/file" for place in ("jobs", "uploads", "studios/this_studio")]
    job = Job.run("writing", machine=Machine.CPU, command="; ".join(f"{t} || true" for t in tries), studio=studio)
    job.wait(interval=0.1)
    studio.start()
    codes = [studio.run_with_exit_code(one)[1] for one in tries]
    file = studio.run("cat /teamspace/studios/other/file")
    print(json.dumps([job.logs.splitlines(), codes, file, studio.run("ls /teamspace").split()]))
    """
    options: dict[str, Any] = {"strict": True, "preinstalled": ()} if strict else {}
    cloud = LocalCloud(tmp_path / "root", parts={"read_only_drive": True}, **options)
    try:
        cloud.start()
    except EmulatorError as error:
        pytest.skip(f"this computer has no strict machines: {error}")
    try:
        lines, codes, file, folders = answer_of(cloud, script)
    finally:
        cloud.stop()
    assert [line for line in lines if "Read-only file system" in line] == lines
    assert [line.split("'")[1] for line in lines] == ["/teamspace/jobs/file", "/teamspace/uploads/file"]
    assert codes == [1, 0, 0]
    assert file == "of-the-other"
    assert {"artifacts", "datasets", "efs_folders", "jobs", "lightning_storage", "scratch", "uploads"} < set(folders)
