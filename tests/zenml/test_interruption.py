"""What a step does that gets SIGTERM, whose process is expected to end."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from zenml.exceptions import RunStoppedException
from zenml.orchestrators import publish_utils, step_runner
from zenml.orchestrators.signal_handler import SignalHandler

from lightning_native.agent import RUN_STOPPED, STOP_FILE
from lightning_native.zenml.interruption import interruption_is_no_failure


@pytest.mark.parametrize(("wish", "asks"), [(None, True), ({"reason": ""}, True), ({"reason": RUN_STOPPED}, False)])
def test_zenml_is_not_asked_about_a_step_that_is_stopped_with_its_run(
    wish: dict[str, str] | None, asks: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of_zenml = KeyboardInterrupt()
    monkeypatch.setattr(SignalHandler, "_finalize_shutdown", lambda _: of_zenml)
    for module in (publish_utils, step_runner):
        # Put back afterwards: what is tested stays as long as its process.
        monkeypatch.setattr(module, "publish_failed_step_run", publish_utils.publish_failed_step_run)
    monkeypatch.setenv(STOP_FILE, str(tmp_path / "stop"))
    if wish is not None:
        (tmp_path / "stop").write_text(json.dumps(wish))
    with interruption_is_no_failure(interruptible=False):
        raised = SignalHandler.__new__(SignalHandler)._finalize_shutdown()
    assert (raised is of_zenml) == asks
    assert isinstance(raised, RunStoppedException) != asks


def test_what_was_registered_for_the_end_is_done_in_a_step_that_is_stopped() -> None:
    script = """
import atexit
from zenml.exceptions import RunStoppedException
from lightning_native.zenml.interruption import interruption_is_no_failure
atexit.register(print, "tidied up")
with interruption_is_no_failure(interruptible=False):
    raise RunStoppedException("by somebody")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert ended.stdout.endswith("tidied up\n")
