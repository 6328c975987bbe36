"""Logs are shown line by line with the step's name as they arrive, also a line whose end comes much later."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.display import follow_logs
from lightning_native.engine.display.follow_logs import LogFollower
from lightning_native.engine.record.run_folder import RunFolder

Append = Callable[[str], list[str]]


@pytest.fixture
def append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Append:
    """Return a function that appends to a step's log, and returns the lines that are shown then."""
    monkeypatch.setattr(follow_logs, "_PATIENCE_SECONDS", -1.0)
    folder = RunFolder(tmp_path)
    folder.logs.mkdir()
    shown: list[str] = []
    follower = LogFollower(folder, ["a"], lambda _step, line: shown.append(line))

    def append(text: str) -> list[str]:
        shown.clear()
        with folder.log("a", 1).open("a", newline="") as log:
            log.write(text)
        follower.advance()
        follower.advance()
        return list(shown)

    return append


def test_a_line_is_shown_when_it_is_whole_and_the_rest_at_the_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log = folder.log("train")
    log.parent.mkdir()
    shown: list[tuple[str, str]] = []
    follower = LogFollower(folder, ["train", "later"], lambda step, line: shown.append((step, line)))
    with log.open("ab", buffering=0) as stream:
        stream.write(b"one\ntw")
        follower.advance()
        assert shown == [("train", "one")]
        stream.write(b"o\n10%\r50%\r100%\nlast")
        follower.advance()
    follower.finish()
    assert shown == [("train", "one"), ("train", "two"), ("train", "100%"), ("train", "last")]


@given(chunks=st.lists(st.binary(max_size=40), max_size=12))
def test_however_the_bytes_arrive_every_line_is_shown_once(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    log = folder.log("s")
    log.parent.mkdir()
    shown: list[str] = []
    follower = LogFollower(folder, ["s"], lambda _step, line: shown.append(line))
    for chunk in chunks:
        with log.open("ab") as stream:
            stream.write(chunk)
        follower.advance()
    follower.finish()
    lines = b"".join(chunks).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert shown == [line.rstrip(b"\r").split(b"\r")[-1].decode(errors="replace") for line in lines]


def test_a_line_without_an_end_is_shown_after_a_while_and_once(append: Append) -> None:
    assert append("one") == ["one"]
    assert append("") == []
    assert append("\ntwo") == ["two"]
    assert append(" and more") == [" and more"]
    assert append("\n\nthree\n") == ["", "three"]


def test_the_states_of_a_progress_bar_are_not_lines(append: Append) -> None:
    assert append("\r10%") == []
    assert append("\r20%") == []
    assert append("\r100%\n") == ["100%"]


def test_a_line_that_grows_is_not_shown_before_its_end(append: Append, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_logs, "_PATIENCE_SECONDS", 600.0)
    assert append("one") == []
    assert append(" two\n") == ["one two"]
