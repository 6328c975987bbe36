"""A traceback shows the user's code, and the frames of ZenML and of this package only on request."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The user's code, called by ZenML, which that called: as the body of a dynamic pipeline calls steps.
SCRIPT = """
import logging, sys
from zenml.steps import step
from lightning_native.errors import PlanError
from lightning_native.zenml.step_process.tracebacks import shorten_tracebacks

@step
def inner() -> None:
    raise KeyError("cause")

def outer(*arguments) -> None:
    try:
        inner.call_entrypoint()
    except KeyError as error:
        if LOGGED:
            logging.getLogger("x").exception("it failed")
            sys.exit(3)
        raise ERROR from error

ERROR = PlanError("no such machine") if "plan" in sys.argv else ValueError("broken")
LOGGED = "logged" in sys.argv
shorten_tracebacks(logged=LOGGED)
outer()
"""


def run(tmp_path: Path, *words: str, **variables: str) -> str:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "ZENML_CONFIG_PATH": str(tmp_path / "config"), **variables}
    argv = [sys.executable, "script.py", *words]
    # ZenML logs to stdout.
    result = subprocess.run(
        argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert result.returncode in (1, 3)
    return result.stdout


@pytest.mark.parametrize(
    ("words", "variables", "is_short"),
    [((), {}, True), (("logged",), {}, True), ((), {"LIGHTNING_NATIVE_VERBOSE": "1"}, False)],
)
def test_the_frames_of_frameworks_are_left_out(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], is_short: bool
) -> None:
    printed = run(tmp_path, *words, **variables)
    assert "base_step.py" not in printed if is_short else "base_step.py" in printed.replace("\n", "")
    assert "inner" in printed
    assert "KeyError: 'cause'" in printed
    if not words:
        assert printed.rstrip().endswith("ValueError: broken")


def test_an_error_of_ours_has_no_traceback(tmp_path: Path) -> None:
    assert run(tmp_path, "plan") == "error: no such machine\n"
