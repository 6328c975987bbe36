"""The follower of one job: it copies the job's output to the step's log until the job has ended, and reads its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.placements.job_output import JobOutput
from lightning_native.engine.retry import Backoff, Patience
from lightning_native.errors import CloudError, LogUnavailableError, RefusedError
from lightning_native.lightning.cloud import JobEnd, JobHandle, JobState

FINAL: tuple[JobState, ...] = ("completed", "failed", "stopped")
# The longest that the log of an ended job is waited for: it is published minutes after the end.
LOG_SECONDS = 600.0
# A log of an ended job that has lines, and no more of them for so long, is whole.
_WHOLE_SECONDS = 5.0
# … and longer if the result has to be in it, because the job has completed.
_COMPLETED_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """The end of a job: its last outcome, None without one, its state, Lightning's words, and the log's preface."""

    outcome: Outcome | None
    state: JobState
    end: JobEnd
    preface: str = ""


class LateLog:
    """The wait for the log of an ended job, which may be empty or cut for minutes."""

    def __init__(self, end: JobEnd, state: JobState, *, seen: bool, quiet_seconds: float = _WHOLE_SECONDS) -> None:
        """Begin to wait.

        Args:
            end: the end of the job.
            state: its final state.
            seen: whether the job has printed something before.
            quiet_seconds: the time without new lines after which a log that has lines is whole.
        """
        self.end = end
        self._quiet = quiet_seconds
        # A job that never began prints nothing.
        self._expected = seen or end.has_begun is not False
        # One that did not come to its own end may have printed nothing.
        self._may_be_empty = bool(end.interrupted) or (state == "stopped" and not seen)
        self._begun = self._grown = time.monotonic()
        self._length = 0

    def is_whole(self, text: str) -> bool:
        """Record the log as it is now, and return whether nothing will be added any more."""
        now = time.monotonic()
        if not self._expected or now - self._begun > LOG_SECONDS:
            return True
        if len(text) != self._length:
            self._length, self._grown = len(text), now
        return (bool(text) or self._may_be_empty) and now - self._grown > self._quiet


def output_so_far(job: JobHandle, state: JobState, rank: int | None = None) -> str:
    """Return the output of a job, or of one of its machines, in this state; empty where it cannot be read now."""
    if state == "pending":
        return ""
    try:
        return job.output() if rank is None else job.output(rank)
    except LogUnavailableError:
        return ""
    except RefusedError:
        raise
    except CloudError:
        # The log of an ended job may not be there yet.
        if state in FINAL:
            return ""
        raise


class JobFollower:
    """Reads one job's state and output, one poll at a time.

    Attributes:
        state: the state at the last poll that succeeded; `running` from the beginning of its command to its end, also
            while its outputs are saved.
        news: the time of the last news.
    """

    def __init__(
        self,
        job: JobHandle,
        output: JobOutput,
        *,
        on_begin: Callable[[], object] = lambda: None,
        is_end: Callable[[Outcome], bool] = lambda _outcome: True,
        rank: int | None = None,
        is_overdue: Callable[[], bool] = lambda: False,
    ) -> None:
        """Follow a job.

        Args:
            job: the job.
            output: takes its output.
            on_begin: called when it has read its specification, or has ended.
            is_end: whether an outcome is its end; if not, the end is its whole log after its final state, or the notice
                of an interruption.
            rank: the machine whose output it is, of several; None: there is only one.
            is_overdue: whether a call that fails now is not repeated.
        """
        self._is_overdue = is_overdue
        self._job = job
        self._rank = rank
        self._output = output
        self._on_begin = on_begin
        self._is_end = is_end
        self._calls = Patience()
        self._errors = Backoff(1.0, 60.0)
        self._late: LateLog | None = None
        self._told = False
        self._text = ""
        self.state: JobState = "pending"
        self.news = time.monotonic()

    def poll(self) -> Ended | None:
        """Return the end of the job, or None while it goes on.

        Raises:
            CloudError: no call has got through for five minutes.
        """
        try:
            end = self._poll()
        except CloudError as error:
            if self._calls.failed(error) or self._is_overdue():
                raise
            self._errors.grow()
            return None
        self._calls.succeeded()
        self._errors.reset()
        return end

    @property
    def least_pause(self) -> float:
        """The seconds to wait at least until the next poll, which grow while calls fail."""
        return self._errors.delay if self._errors.delay > 1.0 else 0.0

    def _poll(self) -> Ended | None:
        before, state = self.state, self._job.state()
        if state == "pending" and (before == "running" or self._job.end().has_begun):
            # Its outputs are being saved.
            state = "running"
        self.state = state
        # The state before the output, because the output that is read after a terminal state is complete. A job that
        # has only just begun has no output yet.
        text = output_so_far(self._job, state, self._rank) if (before, state) != ("pending", "running") else ""
        if state in FINAL and self._late is None:
            quiet = _COMPLETED_SECONDS if state == "completed" else _WHOLE_SECONDS
            self._late = LateLog(self._job.end(), state, seen=self._output.has_begun, quiet_seconds=quiet)
        is_whole = self._late is not None and self._late.is_whole(text)
        # The log of an ended job is shorter for a while than it was before the end.
        self._text = max(text, self._text, key=len)
        if self._output.take(self._text, is_complete=is_whole):
            self.news = time.monotonic()
        if not self._told and (self._output.has_begun or state in FINAL):
            self._told = True
            self._on_begin()
        outcome = self._output.outcomes[-1] if self._output.outcomes else None
        if outcome is None and not is_whole:
            return None
        end = self._job.end()
        if outcome is not None and not is_whole and not end.interrupted and not self._is_end(outcome):
            return None
        return Ended(outcome, state, end, self._output.preface)
