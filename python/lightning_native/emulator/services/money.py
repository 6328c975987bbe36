"""The money of the account: what deleted work has cost, and the refusal of new work without any left."""

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Fact

# The platform's message about work that it stopped, and its answer to a start.
OUT_OF_FUNDS = "USER_STOP_WORKLOAD_REASON_OUT_OF_FUNDS"
_REFUSAL = "insufficient balance to start the cloud space, top up and try again"
_FAILED_PRECONDITION = 9
_KEPT = "spent"


class Money:
    """The account's money, as of the last look at it.

    Attributes:
        spent: dollars for all studios and jobs, deleted ones too.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.spent = kept_cost(cloud)

    @property
    def is_limited(self) -> bool:
        """Whether the account can run out of money now."""
        return self._cloud.settings.profile.balance != float("inf") or self._cloud.faults.is_out_of_funds

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self._cloud.settings.profile.balance or self._cloud.faults.is_out_of_funds

    @property
    def left(self) -> float | None:
        """The dollars that are left, less than none after an overdraft; None: any amount."""
        if not self.is_limited:
            return None
        left = self._cloud.settings.profile.balance - self.spent
        return min(left, 0.0) if self._cloud.faults.is_out_of_funds else left


def kept_cost(cloud: Cloud) -> float:
    """Return the dollars that deleted studios and jobs have cost."""
    kept = cloud.facts.get(_KEPT)
    return float(kept.value) if kept is not None else 0.0


def keep_cost(cloud: Cloud, dollars: float) -> None:
    """Keep the cost of a studio or job that is deleted."""
    if dollars:
        cloud.facts.save(Fact(_KEPT, kept_cost(cloud) + dollars))


def require_funds(cloud: Cloud) -> None:
    """Raise the platform's refusal of new work unless money is left."""
    if cloud.service(Money).is_spent:
        raise ApiError(400, _REFUSAL, code=_FAILED_PRECONDITION)
