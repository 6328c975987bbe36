"""Errors and hints on a terminal: in colour, wrapped between words; elsewhere each is one line."""

import os
import sys

import pytest
from tests.support.person import run_on_terminal

from lightning_native.cli.text.messages import show_error, show_warning


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("it is wrong", "error: it is wrong\n"),
        ("it is wrong; name another", "error: it is wrong\nhint: name another\n"),
        (
            "a is wrong; b is, too; name another; or leave it",
            "error: a is wrong; b is, too\nhint: name another; or leave it\n",
        ),
        ("x:1: a; remove it\nx:2: b; remove it", "error: x:1: a; remove it\nx:2: b; remove it\n"),
        (
            "it failed; see: runs\n\nTraceback\n  ValueError",
            "error: it failed\nhint: see: runs\n\nTraceback\n  ValueError\n",
        ),
        ("names; named; namely", "error: names; named; namely\n"),
    ],
)
def test_the_way_out_of_an_error_is_a_hint(capsys: pytest.CaptureFixture[str], message: str, shown: str) -> None:
    show_error(message)
    assert capsys.readouterr().err == shown


def test_a_warning_has_a_hint_too(capsys: pytest.CaptureFixture[str]) -> None:
    show_warning("it is large; leave files out")
    assert capsys.readouterr().err == "warning: it is large\nhint: leave files out\n"


SCRIPT = "from lightning_native.cli.text.messages import show_error; show_error('{}; see lightning-native --help')"


def shown(text: str, **variables: str) -> str:
    env = {**os.environ, "COLUMNS": "50", "TERM": "xterm", "NO_COLOR": "", **variables}
    _, content = run_on_terminal([sys.executable, "-c", SCRIPT.format(text)], env=env)
    return content.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_unless_it_wants_none() -> None:
    assert shown("short").startswith("\x1b[1;31merror:\x1b[0m short\n")
    assert shown("short", NO_COLOR="1").startswith("error: short\n")
    assert shown("short", TERM="dumb").startswith("error: short\n")


def test_words_stay_whole_at_the_width_of_a_terminal() -> None:
    path = "/a/very/long/path-with-hyphens/that/is/wider/than/the/terminal/file.txt"
    text = f"the file {path} cannot be read because of something that takes many words to say"
    lines = shown(text, NO_COLOR="1").splitlines()
    assert f"       {path}" in lines
    assert all(len(line) <= 50 for line in lines if path not in line)
    assert " ".join(line.strip() for line in lines[:-1]) == f"error: {text}"
