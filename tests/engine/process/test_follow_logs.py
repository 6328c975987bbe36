"""Logs are shown line by line, whole, with the step's name, as they arrive."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.process.follow_logs import LogFollower
from lightning_native.engine.record.run_folder import RunFolder


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
