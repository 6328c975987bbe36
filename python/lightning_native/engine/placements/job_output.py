"""What a job prints: the output of its attempts, each followed by a line with its result."""

import json

from lightning_native.agent import RESULT_MARK
from lightning_native.engine.operation import Outcome
from lightning_native.engine.run_folder import RunFolder, StepLog


class JobOutput:
    """Copies what one job prints to the logs of its step, and finds how its attempts ended.

    Attributes:
        outcomes: how each attempt in the job ended, in order.
    """

    def __init__(self, folder: RunFolder, step: str, first_attempt: int) -> None:
        self._folder = folder
        self._step = step
        self._first_attempt = first_attempt
        self._shown: dict[int, int] = {}
        self.outcomes: list[Outcome] = []

    def take(self, text: str) -> bool:
        """Take all that the job has printed so far, and tell whether anything was new."""
        known = len(self.outcomes)
        attempts = split_attempts(text)
        self.outcomes = [outcome for _, outcome in attempts if outcome is not None]
        new = [self._write(self._first_attempt + number, output) for number, (output, _) in enumerate(attempts)]
        return any(new) or len(self.outcomes) > known

    def _write(self, attempt: int, text: str) -> bool:
        output = text.encode()
        log = StepLog(self._folder.log(self._step, attempt))
        if attempt not in self._shown:
            # What a controller that died had written already is not written again.
            self._shown[attempt] = log.size()
        new = output[self._shown[attempt] :]
        if new:
            log.append(new)
            self._shown[attempt] += len(new)
        return bool(new)


def split_attempts(text: str) -> list[tuple[str, Outcome | None]]:
    """Split what a job has printed into the output of its attempts, and how each ended; None: not yet."""
    first, *others = text.split(RESULT_MARK)
    attempts: list[tuple[str, Outcome | None]] = [(first, None)]
    for part in others:
        result, _, output = part.partition("\n")
        try:
            outcome = Outcome.from_agent(json.loads(result))
        except (ValueError, KeyError):
            # Not all of the line has come yet.
            break
        # The agent begins a line for the mark.
        attempts[-1] = (attempts[-1][0].removesuffix("\n"), outcome)
        attempts.append((output, None))
    return attempts
