"""The command in a process of its own, as users run it: the SDK keeps the cloud of its process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "lightning_native", "conformance"]


def environ(home: Path, cloud: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a user of one cloud, with a home of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    return {**clean, "LIGHTNING_NATIVE_HOME": str(home), **cloud}


def conformance(home: Path, cloud: Mapping[str, str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its exit code, its report and its stderr."""
    result = subprocess.run(
        [*COMMAND, "--json", *arguments],
        env=environ(home, cloud),
        capture_output=True,
        text=True,
        check=False,
        timeout=570,
    )
    print(result.stderr)  # noqa: T201 - shown when the test fails
    return result.returncode, json.loads(result.stdout) if result.stdout else {}, result.stderr


def verdicts(report: Mapping[str, Any], verdict: str) -> set[str]:
    """Return the ids of the checks with a verdict."""
    return {check["id"] for check in report["checks"] if check["verdict"] == verdict}


def check_of(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one check of a report."""
    return next(check for check in report["checks"] if check["id"] == name)
