"""A log file: a growing output, read in lines from any offset, and the times at which it grew."""

import asyncio
import contextlib
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_native.emulator.clock import Clock

POLL_SECONDS = 0.05
_READ_BYTES = 1024 * 1024
_SEVERITIES = (
    ("error", re.compile(r"\b(error|critical|fatal|exception|traceback)\b", re.IGNORECASE)),
    ("warning", re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)),
    ("debug", re.compile(r"\bdebug\b", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Line:
    """One line of a log.

    Attributes:
        number: its number, from 0.
        offset: the first byte of the next line.
        text: the line without its end.
        time: simulated time at which it was written.

    """

    number: int
    offset: int
    text: str
    time: float

    @property
    def severity(self) -> str:
        """The severity by its words: `error`, `warning`, `debug` or else `info`."""
        return next((name for name, pattern in _SEVERITIES if pattern.search(self.text)), "info")


def _times_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.times")


@contextlib.asynccontextmanager
async def record_times(output: Path, clock: Clock) -> AsyncIterator[None]:
    """Record the times at which the output grows, for the length of the block."""
    task = asyncio.create_task(_record_times(output, clock))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        _note(output, clock, 0)


async def _record_times(output: Path, clock: Clock) -> None:
    size = 0
    while True:
        size = _note(output, clock, size)
        await asyncio.sleep(POLL_SECONDS)


def _note(output: Path, clock: Clock, known: int) -> int:
    try:
        size = output.stat().st_size
    except OSError:
        return known
    if size != known:
        with _times_path(output).open("a") as times:
            times.write(f"{size} {clock.now():.3f}\n")
    return size


def _load_times(output: Path) -> tuple[list[int], list[float]]:
    try:
        lines = _times_path(output).read_text().splitlines()
    except OSError:
        return [], []
    pairs = [line.split() for line in lines]
    return [int(pair[0]) for pair in pairs], [float(pair[1]) for pair in pairs]


def read_lines(output: Path, clock: Clock, *, number: int = 0, offset: int = 0, is_complete: bool) -> Iterator[Line]:
    """Yield the lines from an offset on.

    Args:
        output: the file.
        clock: the time of lines that were written just now.
        number: the number of the line that begins at the offset.
        offset: the first byte.
        is_complete: whether nothing will be added, so that a last line without an end is a line, too.

    """
    sizes, times = _load_times(output)
    rest = b""
    with output.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_READ_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            for content in whole:
                offset += len(content) + 1
                yield _line(number, offset, content, sizes, times, clock)
                number += 1
    if rest and is_complete:
        yield _line(number, offset + len(rest), rest, sizes, times, clock)


def _line(number: int, offset: int, content: bytes, sizes: list[int], times: list[float], clock: Clock) -> Line:
    place = bisect_right(sizes, offset - 1)
    time = times[place] if place < len(times) else clock.now()
    return Line(number, offset, content.rstrip(b"\r").decode(errors="replace"), time)
