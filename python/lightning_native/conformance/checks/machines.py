"""Machines in the price lists of the cloud accounts."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.account import ACCOUNT
from lightning_native.conformance.experiments.studio import STUDIO
from lightning_native.lightning.inspection.records import ListedMachine
from lightning_native.lightning.machines import machine_slugs

TOPIC = Topic("Machines")
# A wait of nearly three hours: nobody calls such a machine available.
_LONG_WAIT = 10_000.0


def _all(seen: Seen) -> list[ListedMachine]:
    return [machine for machines in seen["machines"].values() for machine in machines]


def _slugs(seen: Seen) -> set[str]:
    return {machine.live_slug or machine.slug for machine in _all(seen)}


@TOPIC.check(ACCOUNT, "at least one cloud account has machines")
def price_list_is_not_empty(seen: Seen) -> Outcome:
    """The price list of a cloud account can be read, and has machines."""
    return holds(_all(seen), f"{len(_all(seen))} machines on {len(seen['machines'])} cloud accounts")


@TOPIC.check(ACCOUNT, "lightning-public-prod is among them, or the teamspace has accounts of its own only")
def known_cloud_accounts(seen: Seen) -> Outcome:
    """The global cloud accounts have the ids that are known."""
    accounts = seen["accounts"]
    return holds("lightning-public-prod" in accounts, ", ".join(sorted(accounts)))


@TOPIC.check(ACCOUNT, "two cloud accounts have different machines")
def machines_differ_by_account(seen: Seen) -> Outcome:
    """Which machines can be had depends on the cloud account."""
    sets = {frozenset(machine.slug for machine in machines) for machines in seen["machines"].values() if machines}
    if len(seen["machines"]) < 2:
        return not_checkable("there is one cloud account only")
    return holds(
        len(sets) > 1, f"{len(sets)} different lists on {len(seen['machines'])} accounts", accounts=len(sets) > 1
    )


@TOPIC.check(ACCOUNT, "a machine lit-h100-80gb-N, and none lit-h100-N")
def h100_has_its_live_slug(seen: Seen) -> Outcome:
    """The list names the H100 lit-h100-80gb-N, and not lit-h100-N as the SDK does."""
    found = sorted(slug for slug in _slugs(seen) if slug.startswith("lit-h100"))
    if not found:
        return not_checkable("the lists have no H100")
    return holds(all(slug.startswith("lit-h100-80gb") for slug in found), ", ".join(found))


@TOPIC.check(ACCOUNT, "an offer for each kind of machine in the list that the SDK names")
def each_named_machine_has_an_offer(seen: Seen) -> Outcome:
    """Each machine of the list that the SDK has a name for becomes an offer of ours."""
    slugs = machine_slugs()
    named = {name for name, slug in slugs.items() if slug in _slugs(seen)}
    offered = {slugs[offer.name] for offer in seen["offers"] if offer.name in slugs}
    missing = sorted(name for name in named if slugs[name] not in offered)
    return holds(not missing, f"without an offer: {', '.join(missing)}" if missing else f"{len(seen['offers'])} offers")


@TOPIC.check(ACCOUNT, "none of the two is in a list")
def two_t4_and_two_l40s_are_not_listed(seen: Seen) -> Outcome:
    """T4_X_2 and L40S_X_2 have a name in the SDK, and are in no list."""
    found = sorted({"lit-t4-2", "lit-l40s-2"} & _slugs(seen))
    return holds(not found, f"listed: {', '.join(found) or 'none of them'}")


@TOPIC.check(ACCOUNT, "a machine with a wait of hours that is not marked as out of capacity")
def long_wait_is_no_want_of_capacity(seen: Seen) -> Outcome:
    """A machine that cannot be had for hours is not always marked as out of capacity, only by its wait."""
    waits = [each for each in _all(seen) if each.wait is not None and each.wait >= _LONG_WAIT and not each.full]
    longest = max((each.wait or 0.0 for each in _all(seen)), default=0.0)
    return holds(waits, f"{len(waits)} such machines; the longest wait is {longest:g} s")


@TOPIC.check(ACCOUNT, "at least one machine has the mark, whatever its value")
def list_marks_what_the_plan_lacks(seen: Seen) -> Outcome:
    """The list marks the machines that the account's plan lacks."""
    marked = [each for each in _all(seen) if each.restricted is not None]
    return holds(marked, f"{sum(1 for each in marked if each.restricted)} restricted of {len(marked)} marked")


@TOPIC.check(STUDIO, "cpu-4")
def studio_has_the_machine_asked_for(seen: Seen) -> Outcome:
    """A studio that is started on a CPU machine runs on it."""
    return holds(seen["machine"] == "cpu-4", f"asked for cpu-4, runs on {seen['machine']}")
