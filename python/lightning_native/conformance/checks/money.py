"""Prices, and the costs of jobs over time."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.account import ACCOUNT
from lightning_native.conformance.experiments.jobs import JOB
from lightning_native.conformance.experiments.studio import STUDIO
from lightning_native.lightning.inspection.records import ListedMachine

TOPIC = Topic("Money")
# The list of 2026-09-30.
_CPU_PRICE, _CPU_SPREAD = 0.33, 0.1


def _all(seen: Seen) -> list[ListedMachine]:
    return [machine for machines in seen["machines"].values() for machine in machines]


def _price(machines: list[ListedMachine], beginning: str) -> float | None:
    """Return the price of one machine with such a slug."""
    prices = [each.cost for each in machines if each.cost and each.count == 1 and _slug(each).startswith(beginning)]
    return min(prices, default=None)


def _slug(machine: ListedMachine) -> str:
    return machine.live_slug or machine.slug


@TOPIC.check(ACCOUNT, "a price above 0 for each machine")
def each_machine_has_a_price(seen: Seen) -> Outcome:
    """Each machine of the lists has a price."""
    without = [machine.slug for machine in _all(seen) if not machine.cost]
    return holds(not without, f"without a price: {', '.join(sorted(set(without))) or 'none'}")


@TOPIC.check(ACCOUNT, f"${_CPU_PRICE} an hour, give or take ${_CPU_SPREAD}")
def cpu_price_is_that_of_the_list(seen: Seen) -> Outcome:
    """A machine with 4 CPUs costs $0.33 an hour, by which the suite plans."""
    prices = [machine.cost for machine in _all(seen) if machine.slug == "cpu-4" and machine.cost]
    if not prices:
        return not_checkable("the lists have no cpu-4")
    return holds(min(abs(price - _CPU_PRICE) for price in prices) <= _CPU_SPREAD, f"${min(prices):g} an hour")


@TOPIC.check(ACCOUNT, "on a cloud account that has both, one H200 costs less than one H100")
def h200_costs_less_than_h100(seen: Seen) -> Outcome:
    """The newer machine can be the cheaper one: an H200 costs less than an H100 of the same cloud account."""
    pairs = [(_price(each, "lit-h200"), _price(each, "lit-h100")) for each in seen["machines"].values()]
    both = [(newer, older) for newer, older in pairs if newer is not None and older is not None]
    if not both:
        return not_checkable("no cloud account has both")
    text = ", ".join(f"H200 ${newer:g} and H100 ${older:g}" for newer, older in both)
    return holds(any(newer < older for newer, older in both), text)


@TOPIC.check(ACCOUNT, "a machine without a price as an interruptible one, or a dearer one")
def interruptible_is_not_always_cheaper(seen: Seen) -> Outcome:
    """Some machines are not offered as interruptible, and some cost more as one."""
    absent = [each.slug for each in _all(seen) if not each.spot]
    dearer = [each.slug for each in _all(seen) if each.cost and each.spot > each.cost]
    return holds(absent or dearer, f"{len(set(absent))} absent, dearer: {', '.join(sorted(set(dearer))) or 'none'}")


@TOPIC.check(STUDIO, "the price of the studio's machine is in its status")
def studio_tells_its_price(seen: Seen) -> Outcome:
    """The status of a studio that runs has the price of its machine."""
    return holds(seen["studio_price"], f"${seen['studio_price'] or 0:g} an hour")


@TOPIC.check(JOB, "the cost at the end is below the one minutes later")
def job_cost_settles_after_the_end(seen: Seen) -> Outcome:
    """The cost that a job reports at its end is too low, and settles minutes later."""
    first, settled = seen["first_cost"], seen["settled_cost"]
    text = f"${first:.4f} at the end, ${settled:.4f} {seen['settle_seconds']:.0f} s later"
    return holds(first < settled, text, settle_seconds=round(seen["settle_seconds"], 1) if first < settled else 0.0)


@TOPIC.check(JOB, "more than price by time of the command")
def job_is_billed_from_provisioning(seen: Seen) -> Outcome:
    """A job is billed from the start of its machine's preparation, not from that of its command."""
    record, hourly = seen["moments"][-1].record, seen["hourly"]
    if not hourly or record.started is None or record.stopped is None:
        return not_checkable("the price, or the times of the job, are not known")
    command = record.stopped - record.started
    billed = seen["settled_cost"] / hourly * 3600
    return holds(billed > command, f"billed about {billed:.0f} s, of which it ran {command:.0f} s")


@TOPIC.check(JOB, "a cost above 0 in the end")
def job_has_a_cost(seen: Seen) -> Outcome:
    """A job that ran has a cost in the end."""
    return holds(seen["settled_cost"] > 0, f"${seen['settled_cost']:.4f}")
