"""Scripts in processes of their own, because the SDK binds a process to the cloud of its import."""

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

from lightning_native.emulator import LocalCloud


def answer_of(cloud: LocalCloud, script: str, *arguments: str) -> Any:
    """Run a script that uses the SDK, and return what it prints as its last line, in JSON."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), *arguments],
        env={**os.environ, **cloud.environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])
