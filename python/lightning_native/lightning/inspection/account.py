"""The account behind a teamspace: who it is, its plan, its balance and its machines, as far as Lightning tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_native.lightning.errors import cloud_errors
from lightning_native.lightning.offers import MachineOffer, fetch_offers
from lightning_native.lightning.sdk.internals import account_balance, plan_name, teamspaces_called

if TYPE_CHECKING:
    from lightning_sdk import Teamspace


@dataclass(frozen=True)
class Account:
    """The account behind a teamspace.

    Attributes:
        owner: the name of the user or organization that owns the teamspace.
        owner_kind: `user` or `organization`.
        owner_id: the owner's id.
        teamspace: the teamspace's name.
        teamspace_id: the teamspace's id.
        same_name: how many teamspaces that this account sees have this name.
        plan: the name of its plan; None: Lightning does not tell.
        balance: dollars; None: Lightning does not tell.
        offers: the machines of each cloud account.
    """

    owner: str
    owner_kind: str
    owner_id: str
    teamspace: str
    teamspace_id: str
    same_name: int
    plan: str | None
    balance: float | None
    offers: Sequence[MachineOffer]


def read_account(teamspace: "Teamspace") -> Account:
    """Read the account of a teamspace.

    Raises:
        CloudError: Lightning does not answer.
    """
    from lightning_sdk import Organization

    with cloud_errors("read the account"):
        owner = teamspace.owner
        is_organization = isinstance(owner, Organization)
        return Account(
            owner=str(owner.name),
            owner_kind="organization" if is_organization else "user",
            owner_id=str(owner.id),
            teamspace=str(teamspace.name),
            teamspace_id=str(teamspace.id),
            same_name=teamspaces_called(teamspace.name),
            plan=plan_name(str(owner.id) if is_organization else None),
            balance=account_balance(teamspace),
            offers=fetch_offers(teamspace),
        )
