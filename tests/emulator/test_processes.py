"""Processes are found by what they were started with."""

import os
import secrets
import subprocess

import pytest

from lightning_native.emulator import processes


def test_a_process_whose_program_is_still_being_loaded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = 0
    for _ in range(1000):
        marker = secrets.token_hex(8)
        with subprocess.Popen(["sleep", "77"], env={"PATH": os.environ["PATH"], processes.MARKER: marker}) as process:
            # Alone, so that it is looked at right after its start.
            monkeypatch.setattr(processes.os, "listdir", lambda _, pid=process.pid: [str(pid)])
            missed += not processes.find(marker)
            process.kill()
    assert missed == 0
