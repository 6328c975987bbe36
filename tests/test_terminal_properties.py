"""A cleaned text, of any content and cut anywhere, has no control characters but tabs, lines and colours."""

import re

from hypothesis import given
from hypothesis import strategies as st

from lightning_native.terminal import Cleaner, clean

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x80-\x9f]")
PIECE = st.one_of(
    st.text(max_size=6),
    st.text(st.characters(max_codepoint=0x9F), max_size=6),
    st.sampled_from(
        ["\x1b", "\x1b[", "\x1b]", "\x1b[31m", "\x1b[0m", "\x9b", "\x9d", "\x1b\\", "\x07", "\r", "\n", "8;1m"]
    ),
)


@given(st.lists(PIECE, max_size=20), st.booleans())
def test_nothing_but_text_and_colours_is_left_wherever_the_text_is_cut(pieces: list[str], colour: bool) -> None:
    text = "".join(pieces)
    shown = clean(text, colour=colour)
    assert not CONTROL.search(COLOUR.sub("", shown) if colour else shown)
    cleaner = Cleaner(colour=colour)
    assert "".join(cleaner.feed(piece) for piece in pieces) + cleaner.finish() == shown
    # A clean text is unchanged by a second call, and no colour continues after the end of its line.
    assert clean(shown, colour=colour) == shown
    for line in shown.split("\n"):
        colours = COLOUR.findall(line)
        assert not colours or colours[-1] in ("\x1b[0m", "\x1b[m")


@given(st.text(st.characters(exclude_categories=["Cc"])))
def test_text_without_control_characters_is_not_changed(text: str) -> None:
    assert clean(text) == text
