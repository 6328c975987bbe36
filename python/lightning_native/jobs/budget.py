"""The budget of one job: the seconds that it pays for, which the job's command keeps, and the watch over its cost."""

import time

from lightning_native.engine.record.budgets import shown_dollars
from lightning_native.engine.spending import PROVISION_SECONDS
from lightning_native.errors import CloudError, JobError
from lightning_native.jobs.lightning.spec import LightningJobSpec
from lightning_native.lightning.cloud import Cloud, JobHandle

# Seconds of Lightning's clock in which outputs are saved.
_SAVE_SECONDS = 30.0


class JobBudget:
    """The dollars that a job may cost.

    Attributes:
        seconds: the seconds that its command may take, so that the job ends without anybody who watches it.
    """

    def __init__(self, spec: LightningJobSpec, dollars: float, cloud: Cloud) -> None:
        """Make the budget of a job.

        Raises:
            JobError: the job's machine has no price, or the budget does not even pay for its start.
        """
        hourly = cloud.hourly_cost(spec.machine, interruptible=spec.interruptible)
        if not hourly:
            raise JobError(f"the price list has no {spec.machine}, so that no budget can be kept; leave it out")
        self._dollars = dollars
        self._per_second = hourly * spec.num_machines * cloud.clock_rate / 3600
        paid = dollars / self._per_second
        self.seconds = paid - (PROVISION_SECONDS + _SAVE_SECONDS) / cloud.clock_rate
        if self.seconds <= 0:
            raise JobError(
                f"a budget of {shown_dollars(dollars)} pays for {paid * cloud.clock_rate:.0f} s of "
                f"{spec.num_machines} x {spec.machine}, less than it needs to start and to save outputs; raise it"
            )

    @property
    def reason(self) -> str:
        """The reason for which the job is stopped."""
        return f"stopped, because it has used its budget of {shown_dollars(self._dollars)}"

    def is_used(self, job: JobHandle, running_since: float | None) -> bool:
        """Return whether a job has cost its budget: the larger of what is reported and of its time."""
        if running_since is None:
            return False
        by_time = (time.monotonic() - running_since) * self._per_second
        try:
            return max(by_time, job.cost()) >= self._dollars
        except CloudError:
            return by_time >= self._dollars
