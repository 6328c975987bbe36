"""The output of a job: that of its attempts, each followed by a line with its result."""

import json
import re

from lightning_native.agent import RESULT_MARK, result_mark
from lightning_native.agent_protocol import Outcome
from lightning_native.engine.record.run_folder import RunFolder, StepLog

_RESULT_LINE = re.compile(rf"\n?^{re.escape(RESULT_MARK)} [0-9a-f]{{32}}: \{{.*\}}(\n|\Z)", re.MULTILINE)


class JobOutput:
    """Copies the output of one job to the logs of its step, and finds the outcomes of its attempts.

    Attributes:
        outcomes: the outcome of each ended attempt in the job, in order.
        has_begun: whether its agent has read its specification and begun.
        preface: the platform's own lines, before the agent began.
    """

    def __init__(self, folder: RunFolder, step: str, first_attempt: int, word: str) -> None:
        self._folder = folder
        self._step = step
        self._first_attempt = first_attempt
        self._word = word
        self._shown: dict[int, int] = {}
        self.outcomes: list[Outcome] = []
        self.has_begun = False
        self.preface = ""

    def take(self, text: str, *, is_complete: bool) -> bool:
        """Copy the job's output so far, and return whether any of it was new.

        `is_complete`: no further output will follow.
        """
        known = len(self.outcomes)
        begun = _line_with(result_mark(self._word, 0), text)
        if begun is not None:
            self.has_begun, self.preface = True, text[:begun]
        attempts = split_attempts(text, self._word, is_complete=is_complete)
        self.outcomes = [outcome for _, outcome in attempts if outcome is not None]
        new = [self._write(self._first_attempt + number, output) for number, (output, _) in enumerate(attempts)]
        return any(new) or len(self.outcomes) > known

    def _write(self, attempt: int, text: str) -> bool:
        # The platform's answer may hold halves of characters, which have no UTF-8.
        output = text.encode(errors="replace")
        log = StepLog(self._folder.log(self._step, attempt))
        if attempt not in self._shown:
            # The output that a dead controller has written is not written again.
            self._shown[attempt] = log.size()
        new = output[self._shown[attempt] :]
        if new:
            log.append(new)
            self._shown[attempt] += len(new)
        return bool(new)


def split_attempts(text: str, word: str, *, is_complete: bool) -> list[tuple[str, Outcome | None]]:
    """Split a job's output into the output of each attempt, and its outcome; None: it has not ended yet.

    A result is a whole line that begins with the mark of the attempt; everything else is output, but for the line that
    the job has begun.

    Args:
        text: the job's output so far.
        word: the secret word of the job's operation.
        is_complete: whether no further output will follow; if not, a last line that may become a result is kept back.
    """
    attempts: list[tuple[str, Outcome | None]] = []
    begun = result_mark(word, 0)
    text = _without_line(begun, text)
    number = 1
    while True:
        # Attempts may be counted from 1 again, because the platform may have started the job again.
        marks = {result_mark(word, number): number, result_mark(word, 1): 1}
        found = [(begin, mark) for mark in marks if (begin := _line_with(mark, text)) is not None]
        if not found:
            break
        begin, mark = min(found)
        line, _, after = text[begin:].partition("\n")
        outcome = _outcome(line[len(mark) :])
        if outcome is None:
            break
        # The line end before the mark is the agent's.
        attempts.append((text[:begin].removesuffix("\n"), outcome))
        number = marks[mark] + 1
        text = after
    last = text.rpartition("\n")[2]
    if not is_complete and any(mark.startswith(last) or last.startswith(mark) for mark in (*marks, begun)):
        text = text[: len(text) - len(last)]
    return [*attempts, (text, None)]


def without_results(text: str) -> str:
    """Return a job's output without the lines of results, for people; these are found without the job's word."""
    return _RESULT_LINE.sub("", text)


def _line_with(mark: str, text: str) -> int | None:
    """Return the position of the first line that begins with a mark; None if there is none."""
    if text.startswith(mark):
        return 0
    place = text.find(f"\n{mark}")
    return None if place < 0 else place + 1


def _without_line(mark: str, text: str) -> str:
    begin = _line_with(mark, text)
    if begin is None or "\n" not in text[begin:]:
        return text
    return text[:begin] + text[begin:].partition("\n")[2]


def _outcome(text: str) -> Outcome | None:
    try:
        return Outcome.from_agent(json.loads(text))
    except (ValueError, KeyError, TypeError):
        # The line is incomplete so far.
        return None
