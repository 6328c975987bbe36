"""The budget of one run: its own, and what is left of its teamspace's for the month."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.budgets import month_begin, monthly_budget, shown_dollars
from lightning_native.engine.record.costs import spent_since
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.spending import PROVISION_SECONDS, Spending

# What a stop needs, in seconds of this computer's clock …
_STOP_SECONDS = 1.5
# … and of Lightning's, in which outputs are saved.
_SAVE_SECONDS = 30.0
# Other runs of the home are added up again after so many seconds.
_OTHERS_SECONDS = 5.0
# A machine has this time at least.
_LEAST_SECONDS = 1.0


class Share(NamedTuple):
    """The claim of a job to the rest of a budget: its machine's price a second, and its expected seconds."""

    per_second: float
    seconds: float


class RunBudget:
    """The dollars that a run may still cost."""

    def __init__(self, plan: RunPlan, journal: RunJournal, cloud_name: str, spending: Spending) -> None:
        self._own = plan.budget
        self._monthly = monthly_budget(journal.journal, cloud_name)
        self._journal = journal
        self._cloud_name = cloud_name
        self._spending = spending
        self._others: tuple[float, float] | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any budget."""
        return self._own is not None or self._monthly is not None

    def left(self) -> float | None:
        """Return the dollars that are left; None: any amount."""
        spent = self._spending.total()
        limits = []
        if self._own is not None:
            limits.append(self._own - spent)
        if self._monthly is not None:
            limits.append(self._monthly - self._spent_by_others() - spent)
        return min(limits, default=None)

    def _spent_by_others(self) -> float:
        now = time.monotonic()
        if self._others is None or now - self._others[0] > _OTHERS_SECONDS:
            others = spent_since(self._journal.journal, self._cloud_name, month_begin(), without=self._journal.run_id)
            self._others = (now, others)
        return self._others[1]

    def is_used(self) -> bool:
        """Return whether nothing is left but what a stop costs."""
        left = self.left()
        if left is None:
            return False
        second = 1.0 / self._spending.clock_rate
        reserve = self._spending.per_second() * (_STOP_SECONDS + _SAVE_SECONDS * second)
        # A small budget is not all reserve.
        return left <= min(reserve, float("inf") if self._own is None else self._own / 2)

    def reason(self) -> str:
        """Return the reason for which the run is stopped."""
        own = self._own
        if own is not None and (self._monthly is None or self._spending.total() * 2 > own):
            return f"it has used its budget of {shown_dollars(own)}"
        return (
            f"its teamspace has used its budget of {shown_dollars(self._monthly or 0.0)} for this month; "
            "raise it with: lightning-native budget set"
        )

    def seconds_of_studios(self) -> float | None:
        """Return the seconds that the rest pays for on all machines that run; None: any number."""
        left, per_second = self.left(), self._spending.per_second()
        if left is None or not per_second:
            return None
        return max(_LEAST_SECONDS, left / per_second - _STOP_SECONDS / 2)

    def seconds_of_jobs(self, new: Iterable[Share], running: Iterable[Share] = ()) -> list[float | None]:
        """Return the seconds that each new job has, which nobody can change once it runs.

        The rest is shared by what each is expected to need: those that run now, too.
        """
        new, left = list(new), self.left()
        needs = sum(share.per_second * share.seconds for share in (*new, *running))
        overhead = (PROVISION_SECONDS + _SAVE_SECONDS) / self._spending.clock_rate
        if left is None or not needs:
            return [None] * len(new)
        return [
            max(_LEAST_SECONDS, left * share.seconds / needs - overhead) if share.per_second else None for share in new
        ]
