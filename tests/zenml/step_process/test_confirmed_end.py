"""A step's process ends with the code that agrees with ZenML's record, however its own process ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_native.zenml.step_process.confirmed_end import UNCONFIRMED_EXIT_CODE
from lightning_native.zenml.variables import ENV_CONFIRMATION, ENV_RUN_ID, ENV_SCRATCH

SCRIPT = """
import os, signal, sys, time
from lightning_native.zenml.step_process.confirmed_end import confirm, confirmed, leave_step_to_child
leave_step_to_child()
"""


def start(ending: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + ending],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def end(ending: str, **environment: str) -> tuple[int, str]:
    process = start(ending, **environment)
    _, errors = process.communicate(timeout=240)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        ("confirm()", 0, ""),
        ("confirm(); os.kill(os.getpid(), signal.SIGSEGV)", 0, "ended by signal 11 after ZenML had recorded"),
        ("confirm(); os.kill(os.getpid(), signal.SIGKILL)", 0, "ended by signal 9 after ZenML had recorded"),
        ("confirm(); os._exit(3)", 0, "ended by exit code 3 after ZenML had recorded"),
        ("sys.exit(3)", 3, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("os.kill(os.getpid(), signal.SIGABRT)", -signal.SIGABRT, ""),
        ("with confirmed(): sys.exit(0)", UNCONFIRMED_EXIT_CODE, "before ZenML had recorded the step as completed"),
        ("with confirmed(): sys.exit(4)", 4, ""),
        ("os._exit(0)", UNCONFIRMED_EXIT_CODE, "before ZenML had recorded the step as completed"),
    ],
)
def test_the_exit_code_agrees_with_zenml(tmp_path: Path, ending: str, code: int, words: str) -> None:
    found, errors = end(ending, **{ENV_SCRATCH: str(tmp_path), ENV_RUN_ID: "0123"})
    assert found == code, errors
    assert words in errors


def test_a_step_without_a_controller_is_not_left_to_one(tmp_path: Path) -> None:
    # ZenML is asked; it knows no step of this process.
    assert end("os._exit(0)", **{ENV_SCRATCH: str(tmp_path)})[0] == UNCONFIRMED_EXIT_CODE


def test_a_step_that_ends_in_order_when_it_is_told_to_end_has_ended_by_the_signal(tmp_path: Path) -> None:
    # Short sleeps, because Python handles a signal that comes just before a sleep only after it.
    ending = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up', flush=True)\nwhile 1: time.sleep(0.02)"
    process = start(ending, **{ENV_SCRATCH: str(tmp_path)})
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGTERM


def test_whoever_started_a_process_compares_where_it_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "confirmed"
    variables = {ENV_CONFIRMATION: str(file), ENV_SCRATCH: str(tmp_path)}
    assert end("os._exit(0)", **variables)[0] == 0
    assert not file.exists()
    assert end(f"assert {ENV_CONFIRMATION!r} not in os.environ; confirm()", **variables)[0] == 0
    assert file.exists()
    assert end("confirm(); os._exit(0)")[0] == 0
