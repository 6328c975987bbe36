"""The shared local cloud outlives its last user while a controller runs on one of its own machines."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightning_native.emulator import read_environ
from lightning_native.emulator.host.keep_alive import keeping
from lightning_native.emulator.state.root import lock_root
from lightning_native.lightning.local import attach

CONTROLLER = """
import os, sys
from lightning_sdk import Studio
studio = Studio("controller")
studio.start()
waits = "until [ -e go ]; do sleep 0.05; done"
studio.run(f"cat > wait.sh <<'END'\\n{waits}\\nEND\\n{sys.argv[1]} nohup sh wait.sh >/dev/null 2>&1 & echo up")
"""


def start_controller(root: Path, environ: dict[str, str], variables: dict[str, str]) -> Path:
    """Start a stand-in for a controller in a studio, and return the file whose appearance ends it."""
    shown = " ".join(f"{name}={value}" for name, value in variables.items())
    environment = {**os.environ, **environ}
    subprocess.run([sys.executable, "-W", "ignore", "-c", CONTROLLER, shown], env=environment, check=True)
    (home,) = root.glob("studios/*/home")
    return home / "go"


def serves(root: Path) -> bool:
    lock = lock_root(root)
    if lock is not None:
        lock.close()
    return lock is None


@contextmanager
def unused_after(root: Path, *, kept: bool) -> Iterator[Path]:
    with attach(root) as environ:
        go = start_controller(root, environ, keeping(root) if kept else {})
    yield go
    go.parent.mkdir(parents=True, exist_ok=True)
    go.touch()
    deadline = time.monotonic() + 60
    while serves(root):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_runs_until_the_controller_has_ended(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with unused_after(root, kept=True):
        assert serves(root)
        assert read_environ(root) is not None
        with attach(root) as environ:
            assert environ["LIGHTNING_CLOUD_URL"] == (read_environ(root) or {})["LIGHTNING_CLOUD_URL"]
        assert serves(root)
    assert read_environ(root) is None


def test_what_is_no_controller_does_not_keep_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with unused_after(root, kept=False):
        assert not serves(root)


def test_who_comes_while_it_ends_gets_a_server_that_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with unused_after(root, kept=True) as go:
        with (root / "start.lock").open() as starting:
            # The lock of a new user that is about to connect; the server waits for its release.
            fcntl.flock(starting, fcntl.LOCK_EX)
            go.touch()
            lifeline = os.open(root / "lifeline", os.O_WRONLY | os.O_NONBLOCK)
        try:
            with attach(root):
                assert serves(root)
        finally:
            os.close(lifeline)


@pytest.mark.parametrize("again", range(3))
def test_a_root_is_served_again_right_after_its_end(tmp_path: Path, again: int) -> None:
    root = tmp_path / "root"
    with unused_after(root, kept=True) as go:
        go.touch()
        time.sleep(0.2 * again)
        with attach(root) as environ:
            assert environ["LIGHTNING_API_KEY"]
            assert serves(root)
