"""Text of others reaches a terminal as text, in colour at most."""

import io
import sys

import pytest

from lightning_native.cli.text.table import format_table
from lightning_native.terminal import Cleaner, CleanStream, clean, clean_output, one_line, show_output, shows_colour

HARMFUL = [
    pytest.param("\x1b]0;a title\x07", id="title, ended by a bell"),
    pytest.param("\x1b]2;a title\x1b\\", id="title, ended by a terminator"),
    pytest.param("\x9d0;a title\x9c", id="title, of 8 bits"),
    pytest.param("\x1b]52;c;ZXZpbA==\x07", id="clipboard"),
    pytest.param("\x1b]8;;http://evil\x1b\\", id="link"),
    pytest.param("\x1bP$q\x1b\\", id="device control"),
    pytest.param("\x90q\x9c", id="device control, of 8 bits"),
    pytest.param("\x1b_Gx\x1b\\", id="application"),
    pytest.param("\x1b^x\x1b\\", id="privacy"),
    pytest.param("\x1bXx\x1b\\", id="start of string"),
    pytest.param("\x1b[2J", id="clear"),
    pytest.param("\x1b[1A\x1b[2K", id="up, and delete the line"),
    pytest.param("\x9b2J", id="clear, of 8 bits"),
    pytest.param("\x1b[?1049h", id="other screen"),
    pytest.param("\x1b[6n", id="report that is typed in"),
    pytest.param("\x1b[>4;2m", id="keyboard"),
    pytest.param("\x1b[8 m", id="no colour"),
    pytest.param("\x1b[" + "1;" * 100 + "m", id="endless parameters"),
    pytest.param("\x1bc", id="reset"),
    pytest.param("\x1b7\x1b8", id="save and restore"),
    pytest.param("\x1b(0", id="other letters"),
    pytest.param("\x1b#8", id="test pattern"),
    pytest.param("\x08\x08\x08", id="backspaces"),
    pytest.param("\x07\x00\x0b\x0c\x0e\x0f\x05", id="single controls"),
    pytest.param("\x85\x8d\x84", id="single controls, of 8 bits"),
    pytest.param("\x1b\x1b[2J", id="escape twice"),
    pytest.param("\x1b]0;a\x1b[2J", id="one sequence in another"),
]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("harmful", HARMFUL)
def test_what_does_more_than_show_text_is_taken_out(harmful: str, colour: bool) -> None:
    assert clean(f"before {harmful}after\n", colour=colour) == "before after\n"


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("harmful", HARMFUL)
def test_a_sequence_may_come_in_pieces(harmful: str, colour: bool) -> None:
    text = f"a{harmful}b\nc"
    for at in range(len(text) + 1):
        cleaner = Cleaner(colour=colour)
        assert cleaner.feed(text[:at]) + cleaner.feed(text[at:]) + cleaner.finish() == "ab\nc"


def test_text_of_any_language_stays_as_it_is() -> None:
    text = "tab\there, größer, 日本語, 🎉, é, \xa0\n\nend"
    assert clean(text) == text


def test_colours_are_kept_where_wanted_and_end_with_their_line() -> None:
    text = "\x1b[1;31mred\x1b[0m\n\x1b[32mgreen\nplain \x1b[38;5;4mblue"
    assert clean(text) == "red\ngreen\nplain blue"
    assert clean(text, colour=True) == "\x1b[1;31mred\x1b[0m\n\x1b[32mgreen\x1b[0m\nplain \x1b[38;5;4mblue\x1b[0m"
    assert clean("\x9b31mred\n", colour=True) == "\x1b[31mred\x1b[0m\n"


def test_what_would_be_overwritten_is_shown() -> None:
    assert clean("failed\rsucceeded\nnext\r\nlast\r") == "failed\nsucceeded\nnext\nlast"


def test_a_sequence_without_an_end_hides_the_rest_of_its_line_only() -> None:
    for begun in ("\x1b]0;", "\x1bP", "\x9d", "\x1b[", "\x1b"):
        assert clean(f"name {begun}\nthe next line\n") == "name \nthe next line\n"


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_whose_user_wants_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    assert shows_colour(stream) is colour
    show_output(CleanStream(stream), "\x1b[31mred\x1b[2J\n")
    assert stream.getvalue() == ("\x1b[31mred\x1b[0m\n" if colour else "red\n")
    file = io.StringIO()
    show_output(file, "\x1b[31mred\n")
    assert file.getvalue() == "red\n"


def test_all_that_is_printed_is_cleaned_also_what_cannot_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    with clean_output(), clean_output():
        sys.stderr.write("a name: \x1b]0;")
        sys.stderr.write("evil\x07 é \udc80\n")
        sys.stderr.writelines(["\x1b[31m", "no colour\n"])
    assert sys.stderr is stream
    assert written.getvalue() == b"a name:  \\xe9 \\udc80\nno colour\n"


def test_a_name_is_on_one_line_and_as_wide_as_it_looks() -> None:
    assert one_line("a\nb\x1b[2J\rc") == "a b c"
    table = format_table([["\x1b[31mred\x1b[0m", "x"], ["no\ncolour", "y"]])
    assert table == "red        x\nno colour  y"
