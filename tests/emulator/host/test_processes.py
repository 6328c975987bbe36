"""Processes of machines: they are found by the marker in their variables, and yield to their user's processes."""

import asyncio
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from lightning_native.emulator.host import processes


def test_a_process_whose_program_is_still_being_loaded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = 0
    for _ in range(1000):
        marker = secrets.token_hex(8)
        with subprocess.Popen(["sleep", "77"], env={"PATH": os.environ["PATH"], processes.MARKER: marker}) as process:
            # The only process in the list, so that it is examined right after its start.
            monkeypatch.setattr(processes.os, "listdir", lambda _, pid=process.pid: [str(pid)])
            missed += not processes.find(marker)
            process.kill()
    assert missed == 0


def test_what_a_process_starts_at_once_gives_way_too(tmp_path: Path) -> None:
    output, environment = tmp_path / "output", {"PATH": os.environ["PATH"]}
    started = [
        processes.start(["sh", "-c", "nice; true"], directory=tmp_path, variables=environment, output=output)
        for _ in range(200)
    ]
    asyncio.run(asyncio.wait_for(_wait_for(started), 60))
    assert set(output.read_text().split()) == {str(min(os.nice(0) + 10, 19))}


async def _wait_for(started: list[processes.Process]) -> None:
    for process in started:
        await process.wait()
