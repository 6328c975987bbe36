"""Makes the world agree with the journal: what a run leased and did not give up is given up."""

import time
from concurrent.futures import ThreadPoolExecutor

from lightning_native.engine.journal import Journal, Lease
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import CloudError
from lightning_native.lightning.studios import StudioCloud

_ATTEMPTS = 4


def release_leases(journal: Journal, cloud: StudioCloud, run_id: str) -> list[str]:
    """Give up everything a run still holds, and return the names of what could not be given up."""
    open_leases = [lease for lease in journal.leases(run_id) if lease.released is None]
    if not open_leases:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(open_leases))) as pool:
        outcomes = list(pool.map(lambda lease: _release(journal, cloud, lease), open_leases))
    return [lease.name for lease, released in zip(open_leases, outcomes, strict=True) if not released]


def dead_leases(journal: Journal, cloud_name: str) -> list[Lease]:
    """Return the open leases on this cloud of runs that no process drives any more."""
    dead = []
    for lease in journal.open_leases():
        record = journal.run(lease.run_id)
        if record is not None and record.cloud == cloud_name and not RunFolder.of(lease.run_id).is_driven():
            dead.append(lease)
    return dead


def collect_garbage(journal: Journal, cloud: StudioCloud, leases: list[Lease]) -> tuple[list[Lease], list[Lease]]:
    """Give up what dead runs hold, end these runs, and return what was released and what could not be."""
    failed_names = set()
    for run_id in dict.fromkeys(lease.run_id for lease in leases):
        failed_names |= {(run_id, name) for name in release_leases(journal, cloud, run_id)}
        RunFolder.of(run_id).discard_secrets()
        reason = "the process that drove the run died"
        for step in journal.steps(run_id):
            journal.step_ended(run_id, step.name, "stopped", None, reason)
        journal.end_run(run_id, "failed", reason)
    released = [lease for lease in leases if (lease.run_id, lease.name) not in failed_names]
    failed = [lease for lease in leases if (lease.run_id, lease.name) in failed_names]
    return released, failed


def _release(journal: Journal, cloud: StudioCloud, lease: Lease) -> bool:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(0.5 * 2**attempt)
        try:
            studio = cloud.find_studio(lease.name)
            if studio is not None:
                studio.release(delete=lease.on_release == "delete")
        except CloudError:
            continue
        journal.released(lease.run_id, lease.kind, lease.name)
        return True
    return False
