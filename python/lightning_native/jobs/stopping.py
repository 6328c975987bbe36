"""The stop of a job for which nobody waits any more: it is asked for until Lightning confirms the job's end.

The engine stops the jobs of steps in threads beside the run, which goes on meanwhile; here, a person waits.
"""

import time
from collections.abc import Callable

from lightning_native.engine.placements.job_follower import FINAL
from lightning_native.engine.retry import Backoff
from lightning_native.errors import CloudError, JobError
from lightning_native.lightning.cloud import JobHandle

# A person who has pressed Ctrl-C waits.
_SECONDS = 30.0


def stop_for_good(job: JobHandle, say: Callable[[str], object]) -> None:
    """Stop a job, and return when it has ended.

    Args:
        job: the job.
        say: called once with what is waited for.

    Raises:
        JobError: Lightning has not confirmed the job's end; names what may cost money, and how to stop it.
    """
    deadline, backoff, has_told = time.monotonic() + _SECONDS, Backoff(), False
    while True:
        failure: CloudError | None = None
        try:
            job.stop()
            if job.state() in FINAL:
                return
        except CloudError as error:
            failure = error
        if time.monotonic() > deadline:
            why = f": {failure}" if failure else ""
            raise JobError(
                f"Lightning has not confirmed within {_SECONDS:g} s that job {job.name!r} is stopped{why}; it may cost "
                f"money; stop it with: lightning job stop {job.name}"
            ) from failure
        if failure and not has_told:
            say(f"waiting until Lightning takes the stop of job {job.name}: {failure}")
            has_told = True
        time.sleep(backoff.delay)
        backoff.grow()
