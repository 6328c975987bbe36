"""The example of a workflow file runs all of its steps, on the machines that they ask for."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.examples.conftest import EXAMPLES


def test_all_steps_of_the_workflow_run(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    result = subprocess.run(
        [sys.executable, "-m", "lightning_native", "run", str(EXAMPLES / "workflow.yaml"), "--local", "--json"],
        env={**clean, "LIGHTNING_NATIVE_HOME": str(tmp_path / "home"), "USER": "somebody"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stderr
    ended = json.loads(result.stdout)
    assert {step["state"] for step in ended["steps"]} == {"succeeded"}
    machines = {step["step"]: step["machine"] for step in ended["steps"]}
    assert len(machines) == 12
    assert {name for name, machine in machines.items() if machine == "L4"} == {"count-4", "count-5", "count-6"}
    assert machines["check-thorough"] == "CPU_X_8"
    for line in ("[greet] hello from somebody", "[count-6] 7", "[sum] sum 27", "[report] report done"):
        assert line in result.stderr
