"""The findings of `doctor` about the account: ids, plan, balance, machines, and what of that is assumed only."""

from collections.abc import Iterator

from lightning_native.cli.doctor.finding import Finding
from lightning_native.lightning.inspection.account import Account
from lightning_native.lightning.offers import MachineOffer

# The machines of an account that are shown first; all of them follow on lines of their own.
_SHOWN = 6
_ASSUMED = (
    "that the balance and the waits are right, and that a plan has these limits, which no API tells: "
    "without one, one studio at a time, two GPUs, and sessions of four hours; A100, H100 and H200 always of four hours"
)


def account_findings(account: Account) -> Iterator[Finding]:
    """Yield the findings about an account."""
    ids = f"{account.teamspace} (id {account.teamspace_id}) of {account.owner_kind} {account.owner}"
    if account.same_name > 1:
        remedy = f"set LIGHTNING_ORG or LIGHTNING_USERNAME to the owner: {account.same_name} teamspaces are called so"
        yield Finding("account", True, f"{ids} (id {account.owner_id}); {remedy}")
    else:
        yield Finding("account", True, f"{ids} (id {account.owner_id})")
    yield Finding("plan", True, account.plan or "Lightning does not tell")
    yield _balance(account.balance)
    for cloud_account in dict.fromkeys(offer.cloud_account for offer in account.offers):
        yield _machines(cloud_account, [offer for offer in account.offers if offer.cloud_account == cloud_account])
    yield Finding("assumed", True, _ASSUMED)


def _balance(balance: float | None) -> Finding:
    if balance is None:
        return Finding("balance", True, "Lightning does not tell")
    remedy = "top the account up: Lightning stops all work without funds" if balance <= 0 else ""
    return Finding("balance", balance > 0, f"${balance:,.2f}, as Lightning tells", remedy)


def _machines(cloud_account: str, offers: list[MachineOffer]) -> Finding:
    now = sorted((offer for offer in offers if offer.obtainable), key=lambda offer: (offer.hourly_cost, offer.name))
    shown = ", ".join(map(_shown, now[:_SHOWN])) or "none"
    more = f" and {len(now) - _SHOWN} more" if len(now) > _SHOWN else ""
    never = f"; not now: {len(offers) - len(now)}" if len(now) < len(offers) else ""
    every = "".join(f"\n{_shown(offer)}{'' if offer.obtainable else ', not now'}" for offer in offers)
    return Finding(f"machines of {cloud_account or 'Lightning'}", True, f"{shown}{more}{never}{every}")


def _shown(offer: MachineOffer) -> str:
    wait = f", {offer.wait_seconds / 60:.0f} min" if offer.wait_seconds and offer.wait_seconds >= 60 else ""
    plan = ", with a plan" if offer.needs_plan else ""
    return f"{offer.name} (${offer.hourly_cost:.2f}/h{wait}{plan})"
