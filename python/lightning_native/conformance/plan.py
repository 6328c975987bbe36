"""The plan of a run of the suite: its experiments, and at most how long and how dear they are. Nothing is contacted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_native.conformance.check import Check
from lightning_native.conformance.experiment import Experiment
from lightning_native.errors import UsageError

# Dollars an hour in the price list of 2026-09-30, the newest that is public.
LISTED_PRICES = {"CPU": 0.33, "CPU_X_8": 0.51}


@dataclass(frozen=True)
class Plan:
    """The checks of a run, and the experiments that they need, in their order."""

    checks: tuple[Check, ...]
    experiments: tuple[Experiment, ...]

    @property
    def machines(self) -> tuple[str, ...]:
        """The kinds of machines that are used."""
        return tuple(dict.fromkeys(each.machine for each in self.experiments if each.machine))

    @property
    def seconds(self) -> float:
        """The longest time; experiments that do not wait for each other run at once."""
        ends: dict[Experiment, float] = {}
        for each in self.experiments:
            begins = max((ends.get(other, 0.0) for other in (*each.needs, *each.after)), default=0.0)
            ends[each] = begins + each.seconds
        return max(ends.values(), default=0.0)

    def dollars(self, prices: Mapping[str, float] | None = None) -> float:
        """Return the most dollars, at the given prices or at those of the public list."""
        return sum(cost_of(each, prices) for each in self.experiments)


def cost_of(experiment: Experiment, prices: Mapping[str, float] | None = None) -> float:
    """Return the most dollars that an experiment costs."""
    if not experiment.machine:
        return 0.0
    hourly = (prices or {}).get(experiment.machine, LISTED_PRICES[experiment.machine])
    return hourly * experiment.machines * experiment.billed / 3600


def plan_of(checks: Sequence[Check], only: Sequence[str] = ()) -> Plan:
    """Return the plan of some checks, or of all of them.

    Raises:
        UsageError: there is no check of such a name.
    """
    known = {check.id: check for check in checks}
    if unknown := [name for name in only if name not in known]:
        raise UsageError(f"there is no check {unknown[0]!r}; see: lightning-native conformance --list")
    wanted = [check for check in checks if not only or check.id in only]
    ordered: dict[Experiment, None] = {}
    for check in wanted:
        _add(check.experiment, ordered)
    # Those that come after others come last; `after` itself asks for nothing.
    return Plan(tuple(wanted), tuple(sorted(ordered, key=_depth)))


def _add(experiment: Experiment, ordered: dict[Experiment, None]) -> None:
    for other in experiment.needs:
        _add(other, ordered)
    ordered.setdefault(experiment)


def _depth(experiment: Experiment) -> int:
    return 1 + max((_depth(other) for other in (*experiment.needs, *experiment.after)), default=0)
