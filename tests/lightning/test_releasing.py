"""The engine releases studios and jobs at Lightning at once."""

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
