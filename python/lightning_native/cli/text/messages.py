"""Messages on stderr: `error:`, `warning:` and `hint:` lines, in colour on a terminal, without broken words."""

import re
import shutil
import sys
import textwrap
from typing import Literal

from lightning_native.terminal import clean, raw, shows_colour

Kind = Literal["error", "warning", "hint"]
_COLOURS: dict[Kind, str] = {"error": "31", "warning": "33", "hint": "36"}
_NARROWEST = 40
# The first words of the way out, which follows the problem after a semicolon.
_WAY_OUT = re.compile(
    r"; (?=(?:"
    r"add|allow|ask|change|choose|copy|correct|create|delete|drive|follow|free|give|go|install|leave|lower|"
    r"make|move|name|pass|pick|put|raise|read|register|remove|rename|replace|retry|run|say|see|set|"
    r"shorten|show|start|stop|take|try|update|upgrade|upload|use|wait|write"
    r")\b)"
)


def show_error(message: str) -> None:
    """Write an error: its problem, the way out as a hint, and what follows them, such as a traceback, as it is."""
    first, _, rest = message.partition("\n")
    # Several mistakes have a line each, with the way out of each.
    problem, way_out = (first, "") if rest and not rest.startswith("\n") else _split(first)
    _write("error", problem)
    if way_out:
        _write("hint", way_out)
    if rest:
        sys.stderr.write(f"{clean(rest)}\n")


def show_warning(message: str) -> None:
    """Write a warning, and the way out as a hint."""
    problem, way_out = _split(message)
    _write("warning", problem)
    if way_out:
        _write("hint", way_out)


def show_hint(message: str) -> None:
    """Write the next useful thing to do."""
    _write("hint", message)


def _split(text: str) -> tuple[str, str]:
    """Return the problem and the way out of a message: `A; do B` has both."""
    problem, *rest = _WAY_OUT.split(text, maxsplit=1)
    return problem, "".join(rest)


def _write(kind: Kind, text: str) -> None:
    stream = sys.stderr
    label = f"{kind}: "
    lines = [f"{label}{clean(text)}"]
    if stream.isatty():
        # Words of commands and paths stay whole, so that they can be copied.
        width = max(_NARROWEST, shutil.get_terminal_size().columns)
        lines = textwrap.wrap(
            lines[0], width, subsequent_indent=" " * len(label), break_long_words=False, break_on_hyphens=False
        )
    shown = "\n".join(lines) + "\n"
    if shows_colour(stream):
        # The raw stream, because a clean one would remove our own colours.
        raw(stream).write(f"\x1b[1;{_COLOURS[kind]}m{kind}:\x1b[0m{shown[len(kind) + 1 :]}")
    else:
        stream.write(shown)
