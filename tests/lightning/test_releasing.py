"""The engine releases studios and jobs at Lightning at once."""

import json
import os
import subprocess
import sys

import pytest

from lightning_native.emulator import LocalCloud

SCRIPT = """
from lightning_native.lightning.session import connect
studio = connect().create_studio("any")
studio.start(None)
studio.release(delete={delete})
"""


@pytest.mark.parametrize("delete", [True, False])
def test_a_studio_is_let_go_without_a_wait_for_the_next_report_of_its_use(
    lightning_cloud: LocalCloud, delete: bool
) -> None:
    environ = {**os.environ, **lightning_cloud.environ, "LIGHTNING_KEEPALIVE_FREQUENCY": "10000"}
    subprocess.run([sys.executable, "-c", SCRIPT.format(delete=delete)], env=environ, check=True, timeout=300)


REMOVAL = """
import json, sys, tempfile
from pathlib import Path
from lightning_native.errors import CloudError
from lightning_native.lightning.session import connect

studio = connect().create_studio("files")
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "secret").write_text("x")
    studio.upload(Path(folder, "secret"), "kept/secret")
    print("UPLOADED", flush=True)
    sys.stdin.readline()
    seen = []
    for _ in range(2):
        try:
            studio.remove("kept/secret")
            seen.append("removed")
        except CloudError as error:
            seen.append(str(error))
    print(json.dumps([*seen, studio.download("kept/secret", Path(folder, "copy"))]))
"""


def test_a_file_whose_folder_cannot_be_listed_is_not_taken_for_gone(lightning_cloud: LocalCloud) -> None:
    environ = {**os.environ, **lightning_cloud.environ}
    argv = [sys.executable, "-W", "ignore", "-c", REMOVAL]
    with subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "UPLOADED\n"
        lightning_cloud.faults.add("status", match="GET */trees/*", status=503, times=2)
        process.stdin.write("go\n")
        process.stdin.flush()
        failure, removed, is_there = json.loads(process.stdout.readline())
    assert "not known to be gone" in failure
    assert (removed, is_there) == ("removed", False)
