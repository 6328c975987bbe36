"""The estimate of a run: the expected times, machine and cost of each step, without running it."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from lightning_native import Scheduler
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.layout import merged_requirements, studio_layout
from lightning_native.engine.planning.machine_choice import MachineOffer
from lightning_native.lightning.machines import canonical_machine, machine_slug
from lightning_native.lightning.offers import best_offer

# The assumed duration of a step if no duration is known.
ASSUMED_SECONDS = 60.0


@dataclass(frozen=True)
class StepEstimate:
    """The estimate of one step; times are seconds from the start of the run.

    Attributes:
        step: the step's name.
        machine: the SDK's name of the machine that the step asks for first.
        start: the time at which its turn comes.
        begin: the time at which its command starts, after the start and the set-up of its machine.
        end: the time at which its command ends.
        cost: dollars for a machine of its own; None: on a shared machine, or without a price.
        known: whether its duration is that of past runs.
    """

    step: str
    machine: str
    start: float
    begin: float
    end: float
    cost: float | None
    known: bool


@dataclass(frozen=True)
class SharedMachine:
    """A machine that several steps use: the main studio's, or that of a template studio during its preparation.

    Attributes:
        purpose: the machine's purpose.
        machine: the SDK's name.
        start: the time from which it costs, in seconds from the start of the run.
        end: the time of its release.
        cost: dollars; None without a price.
    """

    purpose: Literal["main studio", "environment"]
    machine: str
    start: float
    end: float
    cost: float | None


@dataclass(frozen=True)
class Estimate:
    """The expected times and costs of a run; retries and interrupted machines do not count.

    Attributes:
        steps: in the order in which they would start.
        shared: machines that no single step pays for.
        makespan: seconds from the start of the run to its end.
        total_cost: dollars; None when a machine has no price.
        critical_path: the steps that a shorter run would have to shorten.
        assumed: steps whose duration is not known, in the plan's order.
        assumed_seconds: the assumed duration of each of these.
        unpriced: machines without a price.
        on_demand: interruptible steps whose machines are no cheaper so, and which run on demand.
    """

    steps: tuple[StepEstimate, ...]
    shared: tuple[SharedMachine, ...]
    makespan: float
    total_cost: float | None
    critical_path: tuple[str, ...]
    assumed: tuple[str, ...]
    assumed_seconds: float
    unpriced: tuple[str, ...]
    on_demand: tuple[str, ...] = ()

    @property
    def most_at_once(self) -> int:
        """The most steps that have their turn at the same time."""
        # Ends sort before starts of the same time, because an ended step makes room.
        changes = sorted([(step.start, 1) for step in self.steps] + [(step.end, -1) for step in self.steps])
        return max(accumulate(change for _, change in changes), default=0)


def estimate(
    plan: RunPlan,
    *,
    durations: Mapping[str, float],
    offers: Iterable[MachineOffer] = (),
    prepare_seconds: float = 0.0,
    boot_seconds: float = 0.0,
) -> Estimate:
    """Pass a plan through the scheduler without running any step, and return the estimate.

    Args:
        plan: the plan; a step without machines is on the main machine.
        durations: the known seconds of steps; the others are assumed to last the mean of these, or `ASSUMED_SECONDS`.
        offers: the price list; without it no machine has a price.
        prepare_seconds: the seconds of a set-up; 0 for an environment that exists already.
        boot_seconds: the seconds until a machine runs, if the price list does not have them.

    Raises:
        CycleError, UnknownNodeError: the steps cannot be ordered.
        RequirementError: requirements do not parse or contradict each other.

    """
    return _DryRun(plan, durations, offers, prepare_seconds, boot_seconds).run()


class _DryRun:
    def __init__(
        self,
        plan: RunPlan,
        durations: Mapping[str, float],
        offers: Iterable[MachineOffer],
        prepare_seconds: float,
        boot_seconds: float,
    ) -> None:
        self._plan = plan
        self._dag = plan.dag()
        self._steps = {step.name: step for step in plan.steps}
        known = {step: durations[step] for step in self._steps if step in durations}
        self._known = known
        self._assumed_seconds = sum(known.values()) / len(known) if known else ASSUMED_SECONDS
        self._seconds = {
            step.name: min(known.get(step.name, self._assumed_seconds), step.timeout or float("inf"))
            for step in plan.steps
        }
        self._offers = list(offers)
        self._best: dict[tuple[str, bool], MachineOffer | None] = {}
        self._prepare_seconds = prepare_seconds
        self._boot_seconds = boot_seconds
        self._main = canonical_machine(plan.main_machine or DEFAULT_MACHINE)
        self._unpriced: dict[str, None] = {}
        self._on_demand: list[str] = []
        self._limits = {machine_slug(machine): limit for machine, limit in plan.machine_limits}
        self._shares_main = {
            step
            for studio in (studio_layout(plan) if plan.capabilities.shares_machines else ())
            if len(studio.steps) > 1
            for step in studio.steps
        }
        self._environments = {step.name: merged_requirements([step]) for step in plan.steps if not step.image}
        self._prepared_from: dict[str, float] = {}

    def run(self) -> Estimate:
        rows = self._schedule()
        makespan = max((row.end for row in rows), default=0.0)
        shared = self._shared(rows)
        costs = [row.cost for row in rows if row.step not in self._shares_main] + [each.cost for each in shared]
        known_costs = [cost for cost in costs if cost is not None]
        return Estimate(
            steps=tuple(rows),
            shared=tuple(shared),
            makespan=makespan,
            total_cost=sum(known_costs) if len(known_costs) == len(costs) else None,
            critical_path=tuple(self._dag.critical_path(self._seconds)),
            assumed=tuple(step for step in self._steps if step not in self._known),
            assumed_seconds=self._assumed_seconds,
            unpriced=tuple(self._unpriced),
            on_demand=tuple(self._on_demand),
        )

    def _schedule(self) -> list[StepEstimate]:
        # No overall limit if machines have limits, because then the most urgent steps may wait while others start.
        scheduler = Scheduler(
            self._dag, max_parallel=None if self._limits else self._plan.max_parallelism, durations=self._known
        )
        most = self._plan.max_parallelism or len(self._steps)
        busy: Counter[str] = Counter()
        running: list[tuple[float, int, str]] = []
        rows: list[StepEstimate] = []
        now = 0.0
        while True:
            for name in scheduler.ready():
                slug = machine_slug(self._machine(self._steps[name]))
                if len(running) >= most:
                    break
                if busy[slug] >= self._limits.get(slug, most):
                    continue
                scheduler.start(name)
                busy[slug] += 1
                row = self._row(self._steps[name], now)
                rows.append(row)
                heapq.heappush(running, (row.end, len(rows), name))
            if not running:
                return rows
            now = running[0][0]
            while running and running[0][0] <= now:
                _, _, name = heapq.heappop(running)
                scheduler.succeed(name)
                busy[machine_slug(self._machine(self._steps[name]))] -= 1

    def _row(self, step: StepPlan, now: float) -> StepEstimate:
        machine = self._machine(step)
        begin = self._begin(step, now)
        end = begin + self._seconds[step.name]
        cost = None
        if step.name not in self._shares_main:
            offer = self._offer(machine, interruptible=step.interruptible)
            if step.interruptible and offer is not None and not offer.is_cheaper_interruptible:
                self._on_demand.append(step.name)
            # The set-up of a studio costs; the wait for a machine does not.
            running_from = now + self._boot(machine) if self._plan.capabilities.shares_machines else begin
            cost = self._cost(machine, (end - running_from) * step.num_machines, interruptible=step.interruptible)
        return StepEstimate(step.name, machine, now, begin, end, cost, step.name in self._known)

    def _begin(self, step: StepPlan, now: float) -> float:
        boot = self._boot(self._machine(step))
        if step.name in self._shares_main:
            return max(now, boot + self._prepare_seconds)
        if self._plan.capabilities.shares_machines:
            return now + boot + self._prepare_seconds
        return (now if step.image else max(now, self._environment_ready())) + boot

    def _environment_ready(self) -> float:
        """Return the time at which template studios are ready: each is prepared from the start, on its own machine."""
        return self._boot(self._main) + self._prepare_seconds if self._prepare_seconds else 0.0

    def _shared(self, rows: list[StepEstimate]) -> list[SharedMachine]:
        boot = self._boot(self._main)
        if self._plan.capabilities.shares_machines:
            ends = [row.end for row in rows if row.step in self._shares_main]
            if not ends:
                return []
            cost = self._cost(self._main, max(ends) - boot, interruptible=False)
            return [SharedMachine("main studio", self._main, boot, max(ends), cost)]
        if not self._prepare_seconds:
            return []
        cost = self._cost(self._main, self._prepare_seconds, interruptible=False)
        one = SharedMachine("environment", self._main, boot, boot + self._prepare_seconds, cost)
        return [one] * len(set(self._environments.values()))

    def _machine(self, step: StepPlan) -> str:
        if step.name in self._shares_main or step.machine is None:
            return self._main
        return canonical_machine(step.machine)

    def _offer(self, machine: str, *, interruptible: bool = False) -> MachineOffer | None:
        wanted = machine, interruptible
        if wanted not in self._best:
            self._best[wanted] = best_offer(
                self._offers, machine, interruptible=interruptible, cloud_account=self._plan.cloud_account
            )
        return self._best[wanted]

    def _boot(self, machine: str) -> float:
        offer = self._offer(machine)
        return self._boot_seconds if offer is None or offer.wait_seconds is None else offer.wait_seconds

    def _cost(self, machine: str, seconds: float, *, interruptible: bool) -> float | None:
        offer = self._offer(machine, interruptible=interruptible)
        if offer is None:
            self._unpriced[machine] = None
            return None
        return offer.cost(interruptible=interruptible) * seconds / 3600
