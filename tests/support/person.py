"""Commands that a person enters at a terminal."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

END_OF_INPUT = "\x04"


def answer_at_terminal(
    argv: Sequence[str], answer: str, *, env: Mapping[str, str], cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command whose standard input is a terminal at which a person types an answer; its output is captured."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answer.encode())
        return subprocess.run(
            argv, stdin=terminal, capture_output=True, text=True, check=False, timeout=240, env=dict(env), cwd=cwd
        )
    finally:
        os.close(keyboard)
        os.close(terminal)


def run_on_terminal(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> tuple[int, bytes]:
    """Run a command whose output goes to a terminal; return its exit code and the terminal's content."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=dict(env), cwd=cwd, start_new_session=True
    )
    os.close(terminal)
    shown = b""
    try:
        while data := _read(screen):
            shown += data
        return process.wait(240), shown
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:
        # The last process with the terminal has closed it.
        return b""
