"""The release of leases: everything that a run has leased and not yet released is stopped or deleted."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.costs import costs_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Lease, RunRecord, StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.retry import PATIENCE_SECONDS, RetryPolicy, retry
from lightning_native.engine.studios.sharing import leave
from lightning_native.errors import CloudError, LightningNativeError, PlanError
from lightning_native.lightning.cloud import Cloud

_POLICY = RetryPolicy(shortest=1.0, tries=4, outage_seconds=PATIENCE_SECONDS)
# A person who has stopped the run waits for its end.
_SOON = RetryPolicy(shortest=1.0, tries=4)


def release_leases(journal: RunJournal, cloud: Cloud, *, soon: bool = False) -> list[Lease]:
    """Release everything that a run still holds, and return the leases that could not be released.

    `soon`: do not wait for the end of an outage.
    """
    open_leases = [lease for lease in journal.journal.leases(journal.run_id) if lease.released is None]
    if not open_leases:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(open_leases))) as pool:
        outcomes = list(pool.map(partial(_release, journal, cloud, _SOON if soon else _POLICY), open_leases))
    return [lease for lease, released in zip(open_leases, outcomes, strict=True) if not released]


def dead_leases(journal: Journal, cloud_name: str) -> list[Lease]:
    """Return the open leases on this cloud of runs that no process drives any more."""
    dead = []
    for lease in journal.open_leases():
        record = journal.run(lease.run_id)
        if record is None or record.cloud != cloud_name or is_driven(lease.run_id):
            continue
        if not _is_handed_over(lease.run_id):
            dead.append(lease)
    return dead


def settle_handed_over(journal: Journal) -> None:
    """Record that the studios of controllers are not ours, where the process that was to do so was killed before."""
    for lease in journal.open_leases():
        record = journal.run(lease.run_id)
        if record is not None and _is_handed_over(lease.run_id) and not is_driven(lease.run_id):
            journal.drive(record.run_id, record.name, record.cloud, os.getpid(), []).released(lease.kind, lease.name)


def dead_runs(journal: Journal, cloud_name: str) -> list[RunRecord]:
    """Return the runs that have not ended and that no process drives, on this cloud or not yet on any."""
    return [
        record
        for record in journal.running()
        if record.cloud in ("", cloud_name) and not is_driven(record.run_id) and not _is_handed_over(record.run_id)
    ]


def _is_handed_over(run_id: str) -> bool:
    """Return whether a controller in a studio drives the run, or drove it."""
    try:
        return ControllerLocation.read(RunFolder.of(run_id)) is not None
    except PlanError:
        return False


def is_driven(run_id: str) -> bool:
    """Return whether a process drives a run of the journal now."""
    try:
        return RunFolder.of(run_id).is_driven()
    except PlanError:
        # The run is older than the check of ids, and has no run folder.
        return False


def left_secrets(journal: Journal, cloud_name: str) -> list[RunFolder]:
    """Return the folders with secrets of runs without a controller, on this cloud or not yet on any."""
    left = []
    for folder in RunFolder.all():
        record = journal.run(folder.path.name)
        if folder.has_secrets() and not folder.is_driven() and (not record or record.cloud in ("", cloud_name)):
            left.append(folder)
    return left


def discard_left_secrets(journal: Journal, folders: list[RunFolder]) -> None:
    """Delete the secrets in the folders of dead runs, and record the end of these runs."""
    for folder in folders:
        folder.discard_secrets()
        if not _is_handed_over(folder.path.name):
            end_dead_run(journal, folder.path.name)


def cost_of(journal: Journal, cloud: Cloud, lease: Lease) -> float | None:
    """Return the dollars that a leased resource has cost, for a studio the most possible; None if unknown."""
    try:
        if lease.kind == "job":
            return sum(job.cost() for job in cloud.find_jobs(lease.name))
        machine = next((step.machine for step in journal.steps(lease.run_id) if step.place == lease.name), None)
        hourly = cloud.hourly_cost(machine) if machine and lease.kind == "studio" else None
    except LightningNativeError:
        return None
    return None if hourly is None else hourly * (time.time() - lease.created) / 3600


def collect_garbage(journal: Journal, cloud: Cloud, leases: list[Lease]) -> tuple[list[Lease], list[Lease]]:
    """Release the leases of dead runs, end these runs, and return the leases that were released and the others."""
    failed_names = set()
    for run_id in dict.fromkeys(lease.run_id for lease in leases):
        record = journal.run(run_id)
        if record is None:
            continue
        run_journal = journal.drive(run_id, record.name, record.cloud, os.getpid(), [])
        _end_costs(run_journal, cloud)
        failed_names |= {(run_id, lease.name) for lease in release_leases(run_journal, cloud, soon=True)}
        with suppress(PlanError):
            RunFolder.of(run_id).discard_secrets()
        end_dead_run(journal, run_id)
    released = [lease for lease in leases if (lease.run_id, lease.name) not in failed_names]
    failed = [lease for lease in leases if (lease.run_id, lease.name) in failed_names]
    return released, failed


def _end_costs(journal: RunJournal, cloud: Cloud) -> None:
    """Record what the machines of a dead run have cost: its jobs as far as is known, studios the most possible."""
    budget: float | None = None
    with suppress(PlanError):
        budget = RunFolder.of(journal.run_id).plan().budget
    for record in costs_of(journal.journal, journal.run_id):
        if record.ended is not None:
            continue
        dollars = record.estimate()
        if record.kind == "job":
            with suppress(LightningNativeError):
                jobs = cloud.find_jobs(record.name)
                seconds = [job.end().seconds for job in jobs]
                reported = sum(job.cost() for job in jobs)
                if jobs and None not in seconds:
                    hours = sum(each or 0.0 for each in seconds) / cloud.clock_rate / 3600
                    dollars = max(reported, hours * (record.hourly or 0.0))
        # A guard has stopped what would have cost more.
        journal.cost(record.changed(dollars=min(dollars, budget or dollars), ended=time.time()))
        if record.step is not None and record.kind == "job":
            journal.cost_corrected(record.step)


def end_dead_run(journal: Journal, run_id: str) -> None:
    """Record the end of a run whose controller died; a recorded end stays."""
    record = journal.run(run_id)
    if record is None:
        return
    reason = "the process that drove the run died"
    run_journal = journal.drive(run_id, record.name, record.cloud, os.getpid(), [])
    steps = journal.steps(run_id)
    if had_ended(steps):
        # It died between the end of its last step and that of the run.
        failed = [f"step {step.name}: {step.message}" for step in steps if step.state == "failed"]
        is_stopped = any(step.state == "stopped" for step in steps)
        run_journal.end("failed" if failed else "stopped" if is_stopped else "completed", "; ".join(failed))
        return
    for step in steps:
        run_journal.step_ended(step.name, "stopped", None, reason)
    run_journal.end("failed", reason)


def had_ended(steps: Sequence[StepRecord]) -> bool:
    """Return whether all steps of a run have ended."""
    return bool(steps) and not any(step.state in ("pending", "preparing", "running") for step in steps)


def _release(journal: RunJournal, cloud: Cloud, policy: RetryPolicy, lease: Lease) -> bool:
    try:
        retry(partial(_release_once, journal, cloud, lease), policy)
    except CloudError as error:
        journal.event(f"{lease.kind} {lease.name} could not be released: {error}")
        return False
    return True


def _delete_copies(journal: RunJournal, cloud: Cloud, name: str) -> None:
    """Delete the copies of a template studio that repeated requests created; other studios are their users' own."""
    record = journal.journal.run(journal.run_id)
    if record is not None and any(known.studio == name for known in journal.journal.environments(record.cloud)):
        for studio in cloud.find_studios(name):
            if studio.name != name:
                studio.release(delete=True)


def _release_once(journal: RunJournal, cloud: Cloud, lease: Lease) -> None:
    if lease.kind == "studio" and lease.on_release == "stop":
        # Other runs may use the studio, too; each use has a record of its own.
        leave(journal, cloud, lease.name)
        _delete_copies(journal, cloud, lease.name)
        return
    _end_lease(cloud, lease)
    journal.released(lease.kind, lease.name)


def _end_lease(cloud: Cloud, lease: Lease) -> None:
    if lease.kind == "studio":
        for studio in cloud.find_studios(lease.name):
            studio.release(delete=True)
    elif lease.kind == "job":
        for job in cloud.find_jobs(lease.name):
            job.release()
    elif lease.kind == "pipeline":
        released: set[str] = set()
        # A repeated request may have created another pipeline of the same name.
        while (found := cloud.find_pipeline(lease.name)) is not None and found.id not in released:
            released.add(found.id)
            found.release()
    elif lease.kind == "folder":
        cloud.remove_from_drive(lease.name)
    else:
        name, _, path = lease.name.partition(":")
        holder = cloud.find_studio(name)
        if holder is not None:
            holder.remove(path)
