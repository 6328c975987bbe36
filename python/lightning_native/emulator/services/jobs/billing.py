"""The cost of a job: what it has cost, and what the platform reports of it so far."""

from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER, hourly
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job

# A reported cost is this old, and without its last part, until it begins to settle after the end.
_LAG_SHARE = 1 / 3
_FIRST_SHARE = 0.8


def cost(cloud: Cloud, job: Job) -> float:
    """Return the dollars that a job has cost so far, from the time when its machine was made ready."""
    return _cost_until(cloud, job, cloud.clock.now())


def reported_cost(cloud: Cloud, job: Job) -> float:
    """Return the cost as the platform reports it: too low at first, and settled some time after the job's end."""
    settles, now = cloud.settings.profile.settle_seconds, cloud.clock.now()
    if not settles:
        return cost(cloud, job)
    lag = settles * _LAG_SHARE
    if job.stopped_at is None or now < job.stopped_at + lag:
        return _FIRST_SHARE * _cost_until(cloud, job, min(now, job.stopped_at or now) - lag)
    settled = min(1.0, (now - job.stopped_at - lag) / (settles - lag))
    return (_FIRST_SHARE + (1 - _FIRST_SHARE) * settled) * cost(cloud, job)


def _cost_until(cloud: Cloud, job: Job, moment: float) -> float:
    # A machine that is made ready in no time is billed from its start.
    begun = job.started_at if job.billed_at is None else job.billed_at
    if begun is None:
        return job.spent
    hours = max(0.0, min(moment, job.stopped_at or moment) - begun) / 3600
    cluster, spot = job.specification.get("clusterId") or DEFAULT_CLUSTER, bool(job.specification.get("spot"))
    accounts = cloud.settings.profile.accounts
    return job.spent + hours * hourly(cluster, job.machine, interruptible=spot, accounts=accounts)
