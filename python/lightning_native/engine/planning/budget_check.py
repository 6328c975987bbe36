"""The check of a budget before a run: whether the run is expected to cost more."""

from lightning_native.engine.planning.estimate import Estimate
from lightning_native.errors import PlanError


def check_budget(budget: float | None, expected: Estimate, *, whose: str = "its budget") -> None:
    """Refuse a run that is expected to cost more than a budget; without prices, nothing is expected.

    Raises:
        PlanError: the run is; the message names both.
    """
    if budget is None or expected.total_cost is None or expected.total_cost <= budget:
        return
    assumed = ", ".join(expected.assumed)
    guess = f" ({assumed} never ran, and are taken to last {expected.assumed_seconds:.0f} s)" if assumed else ""
    raise PlanError(
        f"the run is expected to cost ${expected.total_cost:.4f}{guess}, more than {whose} of ${budget:.4f}; "
        "raise the budget, or name cheaper machines"
    )


def balance_warning(balance: float | None, expected: Estimate) -> str:
    """Return a warning if the account has less than a run is expected to cost, or an empty text."""
    if balance is None or expected.total_cost is None or balance >= expected.total_cost:
        return ""
    return (
        f"the run is expected to cost ${expected.total_cost:.4f}, and Lightning tells of a balance of ${balance:.4f}, "
        "which is wrong for some accounts"
    )
