"""A step that receives SIGTERM, and whose process is expected to end."""

import signal
import subprocess
import sys

import pytest
from zenml.exceptions import RunStoppedException
from zenml.orchestrators import publish_utils, step_runner
from zenml.orchestrators.signal_handler import SignalHandler

from lightning_native.zenml.step_process.signals import interruption_is_no_failure


@pytest.mark.parametrize(("driven", "interruptible"), [(True, False), (True, True), (False, False)])
def test_zenml_is_asked_why_a_step_is_to_end_only_where_nobody_else_knows(
    driven: bool, interruptible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_zenml = KeyboardInterrupt()
    monkeypatch.setattr(SignalHandler, "_finalize_shutdown", lambda _: of_zenml)
    # The replaced attributes are restored after the test, because the tested context does not restore them.
    monkeypatch.setattr(SignalHandler, "_handle", SignalHandler._handle)
    for module in (publish_utils, step_runner):
        monkeypatch.setattr(module, "publish_failed_step_run", publish_utils.publish_failed_step_run)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with interruption_is_no_failure(interruptible=interruptible, driven=driven):
            raised = SignalHandler.__new__(SignalHandler)._finalize_shutdown()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    asks = interruptible or not driven
    assert (raised is of_zenml) == asks
    assert isinstance(raised, RunStoppedException) != asks


def test_a_step_that_saves_its_work_is_not_told_again_to_end() -> None:
    script = """
import os, signal, subprocess, time, types
from zenml.orchestrators.signal_handler import SignalHandler
from lightning_native.zenml.step_process.signals import interruption_is_no_failure
with interruption_is_no_failure(interruptible=False, driven=True):
    handler = SignalHandler(types.SimpleNamespace(name="step"), None)
    with handler:
        try:
            print("UP", flush=True)
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            # What is started for it can be told.
            child = subprocess.Popen(["sleep", "60"])
            child.terminate()
            print("saved", child.wait(), flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any(line == "UP\n" for line in process.stdout)
    process.terminate()
    assert f"saved {-signal.SIGTERM}" in process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM


def test_a_step_that_is_told_twice_at_once_to_end_prints_no_error() -> None:
    script = """
import logging, os, signal, sys, types
from zenml.orchestrators.signal_handler import SignalHandler, logger
from lightning_native.zenml.step_process.signals import interruption_is_no_failure
class Twice:
    told = False
    def write(self, text):
        if not self.told:
            self.told = True
            os.kill(os.getpid(), signal.SIGTERM)
    def flush(self):
        pass
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler(Twice()))
with interruption_is_no_failure(interruptible=False, driven=True):
    with SignalHandler(types.SimpleNamespace(name="step"), None):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_what_was_registered_for_the_end_is_done_in_a_step_that_is_stopped() -> None:
    script = """
import atexit
from zenml.exceptions import RunStoppedException
from lightning_native.zenml.step_process.signals import interruption_is_no_failure
atexit.register(print, "tidied up")
with interruption_is_no_failure(interruptible=False, driven=True):
    raise RunStoppedException("by somebody")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert ended.stdout.endswith("tidied up\n")
