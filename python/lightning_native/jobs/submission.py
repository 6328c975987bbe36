"""Jobs on Lightning from their submission to their end."""

import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from lightning_native.engine.placements.job_follower import FINAL, LateLog, output_so_far
from lightning_native.engine.planning.account_choice import AccountChoice
from lightning_native.engine.reasons import signal_words, timed_out
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.resource_names import jobs_studio_name
from lightning_native.engine.retry import AS_LIGHTNING_TAKES_THEM, Backoff, Patience, retry
from lightning_native.errors import CloudError, JobError
from lightning_native.home import locked
from lightning_native.jobs.budget import JobBudget
from lightning_native.jobs.code import PackedCode, packed_code
from lightning_native.jobs.lightning.exit_code import find_exit_code, with_word
from lightning_native.jobs.lightning.program import PROGRAM, driver_program
from lightning_native.jobs.lightning.spec import LightningJobSpec
from lightning_native.jobs.uploads import JobUploads, discard, discard_used, keep
from lightning_native.lightning.cloud import JobRequest, JobState, StudioHandle
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.offers import MachineOffer
from lightning_native.lightning.teamspace import LightningCloud
from lightning_native.progress_bar import upload_bar

_LONGEST_NAME = 63
# The fingerprint, in the journal, of the studio from which jobs start; also the name of its lock.
_ENVIRONMENT = "jobs"
# The exit code of `timeout`, which keeps a job's own limit.
_TIMED_OUT = 124


@dataclass(frozen=True)
class JobResult:
    """The end of a job; `exit_code` is None if it is unknown, `message` has Lightning's words about a failure."""

    state: Literal["completed", "failed", "stopped"]
    exit_code: int | None
    message: str = ""

    def reason(self, time_limit: float | None = None) -> str:
        """Return the reason why a job has not completed, as far as more than its exit code is known.

        `time_limit`: its own, in seconds; None: it has none, or it is not known.
        """
        if self.exit_code == _TIMED_OUT and time_limit:
            return timed_out(time_limit, "maximumRuntimeInMinutes")
        if self.exit_code:
            return signal_words(self.exit_code) or ""
        return f"Lightning: {self.message}" if self.message else ""


def new_name(name: str) -> str:
    """Return a name for one run of a job, because a job of Lightning is one run and its name stays taken."""
    suffix = f"-{secrets.token_hex(3)}"
    return name[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix


def submit(
    spec: LightningJobSpec,
    cloud: LightningCloud,
    cloud_name: str,
    *,
    packed: Callable[[PackedCode], object] = lambda _code: None,
    warn: Callable[[str], object] = lambda _message: None,
) -> LightningJob:
    """Upload a job's code and driver, and submit the job.

    Args:
        spec: the job.
        cloud: the cloud to run it on.
        cloud_name: the cloud's name in the journal.
        packed: called with the code before its upload.
        warn: called with what is otherwise than the job asks for.

    Raises:
        JobError: its code or its studio is missing.
        CloudError: Lightning refused a call, or failed it through five minutes; nothing was submitted.
    """
    accounts = AccountChoice(spec.cloud_account, cloud)
    named = _named_studio(spec, cloud) if spec.studio is not None else None
    account = named.cloud_account if named else None
    if named is None:
        account = accounts.of((spec.machine,), spec.machine, interruptible=spec.interruptible)
    request = JobRequest(
        name=spec.name,
        machine=spec.machine,
        command=with_word(spec.command) if spec.command else None,
        interruptible=spec.interruptible and _is_cheaper_interruptible(accounts.offer, spec, account, warn),
        cloud_account=account,
        tags=spec.tags,
        image=spec.image,
        entrypoint=spec.entrypoint,
        env=spec.env,
        num_machines=spec.num_machines,
        scratch_disks=spec.scratch_disks,
        path_mappings=spec.path_mappings,
    )
    if spec.image is not None:
        return _run(cloud, request)
    with ExitStack() as stack:
        uploads: list[tuple[Path, str]] = []
        if spec.source is not None:
            code = stack.enter_context(packed_code(spec.source, spec.entry, single_file=spec.single_file))
            packed(code)
            uploads.append((code.path, f"{spec.folder}/{code.name}"))
        program = Path(stack.enter_context(tempfile.TemporaryDirectory())) / PROGRAM
        program.write_bytes(driver_program())
        uploads.append((program, f"{spec.folder}/{PROGRAM}"))
        environment = f"{_ENVIRONMENT}-{account}" if account and named is None else _ENVIRONMENT
        # Locked until the job is submitted, so that the studio is not pruned before.
        stack.enter_context(locked(environment, shared=True))
        studio = named or _own_studio(cloud, cloud_name, environment, account)
        discard_used(cloud, cloud_name)
        kept = JobUploads(cloud_name, spec.name, studio.name, tuple(remote for _, remote in uploads))
        keep(kept)
        try:
            for path, remote in uploads:
                with upload_bar(path, f"uploading {path.name}"):
                    retry(partial(studio.upload, path, remote))
            return _run(cloud, replace(request, studio=studio.name))
        except BaseException:
            discard(cloud, kept)
            raise


def _named_studio(spec: LightningJobSpec, cloud: LightningCloud) -> StudioHandle:
    """Return the studio that a job names; it is on its cloud account for ever."""
    studio = retry(partial(cloud.find_studio, spec.studio or ""))
    if studio is None:
        raise JobError(f"there is no studio {spec.studio!r} in the teamspace; name one that is there")
    if spec.cloud_account and studio.cloud_account not in (None, spec.cloud_account):
        raise JobError(
            f"studio {spec.studio!r} is on cloud account {studio.cloud_account}, and the job asks for "
            f"{spec.cloud_account}; leave one of them out"
        )
    return studio


def _own_studio(cloud: LightningCloud, cloud_name: str, environment: str, account: str | None) -> StudioHandle:
    """Return a studio of our own from which jobs start; it is never started, so it costs nothing."""
    with Journal() as journal:
        name = jobs_studio_name(journal.home_id(), account)
        journal.environment_used(cloud_name, environment, name, ready=True)
    return retry(partial(cloud.create_studio, name, cloud_account=account))


def _is_cheaper_interruptible(
    offer_of: Callable[..., MachineOffer | None],
    spec: LightningJobSpec,
    account: str | None,
    warn: Callable[[str], object],
) -> bool:
    """Return whether an interruptible machine costs less, which it does not everywhere."""
    offer = offer_of(spec.machine, account, interruptible=True)
    if offer is None or offer.is_cheaper_interruptible:
        return True
    warn(f"{spec.machine} costs no less as an interruptible machine, and is asked for on demand")
    return False


def _run(cloud: LightningCloud, request: JobRequest) -> LightningJob:
    is_repeated = False

    def run_or_find() -> LightningJob:
        nonlocal is_repeated
        # The answer to a submission may be lost.
        if not is_repeated or not cloud.find_jobs(request.name):
            is_repeated = True
            cloud.run_job(request)
        return _only(cloud, request.name)

    try:
        return retry(run_or_find, AS_LIGHTNING_TAKES_THEM)
    except BaseException:
        # A failed or interrupted submission may have been carried out all the same.
        with suppress(CloudError):
            for job in cloud.find_jobs(request.name):
                job.release()
        raise


def _only(cloud: LightningCloud, name: str) -> LightningJob:
    """Return the job of a new name, and delete the copies that a submission delivered twice has created."""
    found = cloud.find_jobs(name)
    if not found:
        raise CloudError(f"job {name!r} was submitted but cannot be found")
    for other in found[1:]:
        other.release()
    return found[0]


def find_job(cloud: LightningCloud, name: str) -> LightningJob:
    """Return the job of a name, or the only one whose name begins with it.

    Raises:
        JobError: there is none, or more than one.
    """
    found = cloud.find_jobs_like(name)
    exact = [job for job in found if job.name == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise JobError(f"there is no job {name!r} in the teamspace; see: lightning-native job list")
    raise JobError(f"{len(found)} jobs are called so: {', '.join(job.name for job in found)}; name one of them")


def follow(
    job: LightningJob,
    show: Callable[[str], object],
    *,
    time_limit: float | None = None,
    budget: JobBudget | None = None,
    seen: Callable[[JobState], object] = lambda _state: None,
    pause: Callable[[float], object] = time.sleep,
    is_to_stop: Callable[[], bool] = lambda: True,
) -> JobResult:
    """Wait for a job's end, and show each line of its output as it arrives.

    Args:
        job: the job.
        show: called with each line.
        time_limit: seconds after which the job is stopped, for a job that has no limit of its own.
        budget: what the job may cost; then it is stopped.
        seen: called with the job's state whenever it has been read.
        pause: waits for some seconds.
        is_to_stop: asked after a Ctrl-C; the wait goes on if the answer is no.

    Raises:
        CloudError: every call has failed for five minutes.
        KeyboardInterrupt: Ctrl-C, after which the job is to stop.
    """
    following = _Following(job, show, time_limit, budget)
    while True:
        try:
            result = following.poll(seen)
            if result is not None:
                return result
            pause(following.delay)
        except KeyboardInterrupt:
            if is_to_stop():
                raise


class _Following:
    """The wait for one job's end, one poll at a time."""

    def __init__(
        self, job: LightningJob, show: Callable[[str], object], time_limit: float | None, budget: JobBudget | None
    ) -> None:
        self._job, self._show, self._time_limit, self._budget = job, show, time_limit, budget
        self._shown: Counter[str] = Counter()
        self._backoff, self._patience = Backoff(), Patience()
        self._running_since: float | None = None
        self._late: LateLog | None = None
        self._is_over_limit = False
        self.delay = 0.0

    def poll(self, seen: Callable[[JobState], object]) -> JobResult | None:
        """Show what is new, and return the job's end; None before it."""
        self.delay = self._backoff.delay
        try:
            # The state before the output: after a final state the output is complete.
            state = self._job.state()
            if self._is_over_limit and state not in FINAL:
                # Until Lightning confirms it, because a stop that was not taken costs as much as none.
                self._job.stop()
            if state in FINAL and self._late is None:
                self._late = LateLog(self._job.end(), state, seen=bool(self._shown))
            text = output_so_far(self._job, state)
            self._patience.succeeded()
        except CloudError as error:
            if self._patience.failed(error):
                raise
            return None
        seen(state)
        self._show_new(text)
        if state in ("completed", "failed", "stopped"):
            exit_code = _exit_code(self._job, text)
            # Nothing follows the line with the exit code.
            if exit_code is not None or self._late is None or self._late.is_whole(text):
                message = "" if state == "completed" or self._late is None else self._late.end.message
                return JobResult(state, 0 if state == "completed" else exit_code, message)
        if state == "running" and self._running_since is None:
            self._running_since = time.monotonic()
        if not self._late and not self._is_over_limit:
            self._keep_limits()
        self.delay = self._backoff.delay
        self._backoff.grow()
        return None

    def _show_new(self, text: str) -> None:
        # Compared by text, not by position, because lines of several machines interleave.
        new = list(_not_among(self._shown, text.splitlines()))
        for line in new:
            self._show(line)
        self._shown.update(new)
        if new:
            self._backoff.reset()

    def _keep_limits(self) -> None:
        limit = _limit_reached(self._job, self._running_since, self._time_limit, self._budget)
        if limit:
            self._show(f"lightning-native: {limit}")
            self._is_over_limit = True
            self._backoff.reset()


def _limit_reached(
    job: LightningJob, running_since: float | None, time_limit: float | None, budget: JobBudget | None
) -> str:
    """Return the limit for which a job is to be stopped now, in words; empty if there is none."""
    if time_limit is not None and running_since is not None and time.monotonic() - running_since > time_limit:
        return f"stopped at its time limit of {time_limit:g} s"
    return budget.reason if budget is not None and budget.is_used(job, running_since) else ""


def _exit_code(job: LightningJob, output: str) -> int | None:
    try:
        return find_exit_code(output, job.details().command or "")
    except CloudError:
        # The exit code is a detail; the job's end is known without it.
        return None


def _not_among(shown: Counter[str], lines: Sequence[str]) -> Iterator[str]:
    left = shown.copy()
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
        else:
            yield line
