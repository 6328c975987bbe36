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


def talk_at_terminal(
    argv: Sequence[str], *talk: tuple[str, str], env: Mapping[str, str], cwd: Path | None = None
) -> tuple[int, str]:
    """Run a command at a terminal, and type each answer when its words have appeared; return exit code and content.

    The words of each answer are searched for behind those of the one before; `\\x03` is Ctrl-C.
    """
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(cwd or ".")
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606  a shell would be another process at the terminal
    shown, position, left = b"", 0, list(talk)
    try:
        while data := _read(screen):
            shown += data
            while left and (found := shown.find(left[0][0].encode(), position)) >= 0:
                position = found + len(left[0][0].encode())
                os.write(screen, left.pop(0)[1].encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(screen)
    assert not left, shown
    return code, shown.decode(errors="replace")


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:
        # The last process with the terminal has closed it.
        return b""
