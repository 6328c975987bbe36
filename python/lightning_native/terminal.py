"""Text for people, without control sequences for their terminal.

The output of a step, and the name of a run, a schedule or a file, may hold sequences that move the cursor, set the
title, fill the clipboard or hide text. All of them are removed. Colours in the output of steps and jobs are kept on a
terminal that shows them, each to the end of its line.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_ESCAPE, _BELL, _STRING_END = "\x1b", "\x07", "\x9c"
_RESET = "\x1b[0m"
# No control character of Unicode or ASCII, except for the tab.
_PLAIN = re.compile(r"[^\x00-\x08\x0a-\x1f\x80-\x9f]+")
_COLOUR = re.compile(r"[0-9;:]*")
_INSIDE_STRING = re.compile(r"[^\x07\x0a\x0d\x18\x1a\x1b\x9c]+")
# Every sequence ends here, because one without an end must not hide the lines after its own.
_ENDS_ANY = "\n\r\x18\x1a"
# The beginnings of a control sequence and of strings for the terminal itself: one character, or two with an escape.
_SEQUENCE, _STRINGS = "\x9b", "\x90\x98\x9d\x9e\x9f"
_SEQUENCE_AFTER_ESCAPE, _STRINGS_AFTER_ESCAPE = "[", "PX]^_"
_LONGEST_PARAMETERS = 64


class Cleaner:
    """A cleaner for a text that arrives in pieces, cut anywhere.

    Args:
        colour: whether to keep colours.
    """

    def __init__(self, *, colour: bool = False) -> None:
        self._keep_colour = colour
        self._state = "text"
        self._parameters = ""
        self._is_coloured = False

    def feed(self, text: str) -> str:
        """Return the text that can be shown by now."""
        shown: list[str] = []
        position = 0
        while position < len(text):
            if self._state == "text":
                plain = _PLAIN.match(text, position)
                if plain:
                    shown.append(plain[0])
                    position = plain.end()
                    continue
                self._begin(text[position], shown)
                position += 1
            elif self._state == "string" and (inside := _INSIDE_STRING.match(text, position)):
                position = inside.end()
            elif self._goes_on(text[position], shown):
                position += 1
        return "".join(shown)

    def finish(self) -> str:
        """Return the end of the text: a reset if a colour is still on."""
        end = _RESET if self._is_coloured else ""
        self._state, self._is_coloured = "text", False
        return end

    def _begin(self, character: str, shown: list[str]) -> None:
        """Read the first character of a sequence or line end."""
        self._parameters = ""
        if character == "\n":
            self._end_line(shown)
        elif character == "\r":
            self._state = "return"
        elif character == _ESCAPE:
            self._state = "escape"
        elif character == _SEQUENCE:
            self._state = "sequence"
        elif character in _STRINGS:
            self._state = "string"

    def _end_line(self, shown: list[str]) -> None:
        shown.append(f"{_RESET}\n" if self._is_coloured else "\n")
        self._is_coloured = False

    def _goes_on(self, character: str, shown: list[str]) -> bool:
        """Read a further character; False if it does not belong to the sequence, and must be read again as text."""
        if self._state == "return":
            # Shown as a line end, so that nothing is overwritten; before a line end it means nothing.
            self._state = "text"
            self._end_line(shown)
            return character == "\n"
        if character in _ENDS_ANY:
            self._state = "text"
            return False
        take = {
            "escape": self._after_escape,
            "designation": self._after_escape,
            "sequence": self._in_sequence,
            "string": self._in_string,
            "string's end": self._at_end_of_string,
        }
        return take[self._state](character, shown)

    def _after_escape(self, character: str, _shown: list[str]) -> bool:
        if self._state == "escape" and character == _SEQUENCE_AFTER_ESCAPE:
            self._state = "sequence"
        elif self._state == "escape" and character in _STRINGS_AFTER_ESCAPE:
            self._state = "string"
        elif " " <= character <= "/":
            self._state = "designation"
        else:
            self._state = "text"
            return "0" <= character <= "~"
        return True

    def _in_sequence(self, character: str, shown: list[str]) -> bool:
        if " " <= character <= "?":
            if len(self._parameters) <= _LONGEST_PARAMETERS:
                self._parameters += character
            return True
        self._state = "text"
        if character == "m" and self._keep_colour and len(self._parameters) <= _LONGEST_PARAMETERS:
            if _COLOUR.fullmatch(self._parameters):
                shown.append(f"{_ESCAPE}[{self._parameters}m")
                self._is_coloured = self._parameters not in ("", "0")
            return True
        return "@" <= character <= "~"

    def _in_string(self, character: str, _shown: list[str]) -> bool:
        self._state = "string's end" if character == _ESCAPE else "text"
        # `_goes_on` has excluded everything but a bell, a terminator and an escape.
        return True

    def _at_end_of_string(self, character: str, _shown: list[str]) -> bool:
        self._state = "text" if character == "\\" else "escape"
        return character == "\\"


def clean(text: str, *, colour: bool = False) -> str:
    """Return a complete text as it can be shown."""
    cleaner = Cleaner(colour=colour)
    return cleaner.feed(text) + cleaner.finish()


def one_line(text: str) -> str:
    """Return a name or a cell of a table as it can be shown on one line."""
    return " ".join(clean(text).splitlines())


def shows_colour(stream: TextIO) -> bool:
    """Return whether a stream is a terminal whose user wants colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Return whether a person sits at stdin and stderr."""
    return bool(sys.stdin and sys.stderr and sys.stdin.isatty() and raw(sys.stderr).isatty())


def ask(question: str) -> str:
    """Ask on stderr, and return the answer in small letters; empty at the end of the input."""
    # Not `input`, which writes to stdout, where the results go.
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
    return answer.strip().lower()


def show_output(stream: TextIO, text: str) -> None:
    """Write whole lines of a step's or job's output to a stream for people."""
    target = raw(stream)
    _write(target, clean(text, colour=shows_colour(target)))
    target.flush()


class CleanStream:
    """A stream that cleans all text written to it, and is otherwise like the stream below it.

    Attributes:
        raw: the stream below, for output of our own, such as a progress bar.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self._cleaner = Cleaner()

    def write(self, text: str) -> int:
        """Write a text, cleaned."""
        _write(self.raw, self._cleaner.feed(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, cleaned."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def raw(stream: TextIO) -> TextIO:
    """Return the stream below a clean stream; any other stream is returned itself."""
    return stream.raw if isinstance(stream, CleanStream) else stream


def open_standard_streams() -> None:
    """Give this process the standard streams that it was started without, which lead nowhere.

    Otherwise the next file that it opens would be one of them, and get what is written there.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  open until the end


@contextmanager
def clean_output() -> Iterator[None]:
    """Clean everything that the block prints."""
    before = sys.stdout, sys.stderr
    # A process may have been started without streams.
    sys.stdout, sys.stderr = (cast("TextIO", CleanStream(raw(stream)) if stream else stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        # A file's name that is not UTF-8, or a stream with a small character set.
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
