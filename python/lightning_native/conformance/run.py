"""A run of the suite: its experiments at once where they can be, its checks after them, and nothing left of it."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lightning_native.conformance.check import NOT_CHECKABLE, Check, Outcome
from lightning_native.conformance.experiment import Bench, Experiment, Seen, SuiteEndedError
from lightning_native.conformance.plan import LISTED_PRICES, Plan
from lightning_native.conformance.spending import Spending
from lightning_native.engine.leases import release_leases
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.errors import CloudError, LightningNativeError, UsageError
from lightning_native.lightning.inspection.records import ListedMachine, private_words
from lightning_native.lightning.session import cloud_name, open_teamspace
from lightning_native.lightning.teamspace import LightningCloud

_NAME = "conformance"
# For how long an interrupted experiment may need for the call that it is in.
_LAST_CALL_SECONDS = 60.0
_LOOK_SECONDS = 0.2


@dataclass
class Result:
    """The outcomes of a run, with its machines' prices, and what became of it.

    Attributes:
        outcomes: by check, in their order.
        machines: the price lists that it read.
        seconds, dollars: what it took, by the clock.
        ended: the reason for which it ended before its time; empty if it did not.
        is_interrupted: whether that was Ctrl-C.
        left: the names of what could not be released.
        private: words that no report may have.
    """

    outcomes: dict[Check, Outcome] = field(default_factory=dict)
    machines: list[ListedMachine] = field(default_factory=list)
    seconds: float = 0.0
    dollars: float = 0.0
    ended: str = ""
    is_interrupted: bool = False
    left: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)


def run_suite(plan: Plan, *, max_cost: float, rate: float, say: Callable[[str], object]) -> Result:
    """Carry out a plan on the cloud of this process's variables, and release everything, whatever happens.

    Args:
        plan: the plan.
        max_cost: dollars at which the run ends, and above which it does not begin.
        rate: the cloud's seconds that pass in a real one.
        say: called with a line for people whenever something begins or ends.

    Raises:
        UsageError: at the prices of this account, the plan costs more.
        CredentialsError: credentials are missing or refused.
    """
    teamspace = open_teamspace()
    cloud = LightningCloud(teamspace)
    prices = _prices(cloud, plan)
    check_cost(plan, max_cost, prices)
    token = secrets.token_hex(4)
    result = Result(private=private_words(teamspace))
    began = time.monotonic()
    spending = Spending(max_cost)
    with Journal() as journal, _journal_of_run(journal, f"{_NAME}-{token}") as own:
        bench = Bench(cloud, teamspace, own, spending, prices, token, rate)
        try:
            _carry_out(plan, bench, result, say)
        finally:
            bench.held.close()
            say("releasing what the checks created")
            result.left = [lease.name for lease in release_leases(own, cloud)]
            result.seconds, result.dollars = time.monotonic() - began, spending.dollars
            own.end("failed" if result.left else "completed", ", ".join(result.left))
    if account := bench.results.get("account"):
        result.machines = [machine for machines in account.get("machines", {}).values() for machine in machines]
    return result


def check_cost(plan: Plan, max_cost: float, prices: dict[str, float] | None = None) -> None:
    """Raise UsageError if a plan may cost more than is allowed."""
    dollars = plan.dollars(prices)
    if dollars > max_cost:
        raise UsageError(
            f"the checks cost up to ${dollars:.2f}, which is above --max-cost {max_cost:.2f}; "
            "allow more, or name some of them with --only"
        )


def _prices(cloud: LightningCloud, plan: Plan) -> dict[str, float]:
    """Return the live prices of a plan's machines, of the public list where there is none."""
    prices = dict(LISTED_PRICES)
    for machine in plan.machines:
        with suppress(CloudError):
            prices[machine] = cloud.hourly_cost(machine) or prices[machine]
    return prices


@contextmanager
def _journal_of_run(journal: Journal, run_id: str) -> Iterator[RunJournal]:
    """Yield the journal of a run of the suite, which `gc` leaves alone while this process lives."""
    folder = RunFolder.of(run_id)
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.driven():
        yield journal.drive(run_id, _NAME, cloud_name(), os.getpid(), [])


def _carry_out(plan: Plan, bench: Bench, result: Result, say: Callable[[str], object]) -> None:
    ended = {each: threading.Event() for each in plan.experiments}
    for each in plan.experiments:
        bench.results[each.name] = Seen()
    threads = [
        # Daemons, because a call of the SDK may last for ever.
        threading.Thread(target=_experiment, args=(each, bench, ended, say), daemon=True, name=each.name)
        for each in plan.experiments
    ]
    for thread in threads:
        thread.start()
    try:
        while not all(event.wait(_LOOK_SECONDS) for event in ended.values()):
            if bench.spending.is_over:
                bench.ended.set()
                break
    except KeyboardInterrupt:
        result.ended, result.is_interrupted = "it was interrupted", True
        say("interrupted: ending")
        bench.ended.set()
    if bench.ended.is_set() and not result.is_interrupted:
        result.ended = f"it has cost its ${bench.spending.limit:g}"
        say(f"ending: {result.ended}")
    deadline = time.monotonic() + _LAST_CALL_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for check in plan.checks:
        seen = bench.results[check.experiment.name]
        result.outcomes[check] = check.carry_out(seen) if ended[check.experiment].is_set() else _unfinished(result)


def _unfinished(result: Result) -> Outcome:
    return Outcome(NOT_CHECKABLE, f"the run ended before: {result.ended}")


def _experiment(
    experiment: Experiment,
    bench: Bench,
    ended: dict[Experiment, threading.Event],
    say: Callable[[str], object],
) -> None:
    seen = bench.results[experiment.name]
    try:
        for other in (*experiment.needs, *experiment.after):
            if other in ended:
                ended[other].wait()
        bench.check()
        say(f"{experiment.name}: {experiment.summary}")
        experiment.run(bench, seen)
        say(f"{experiment.name}: done")
    except SuiteEndedError as error:
        seen.reason = str(error)
        bench.ended.set()
    except LightningNativeError as error:
        seen.reason = str(error)
        say(f"{experiment.name}: ended early: {error}")
    except Exception as error:
        # An answer of another form than the SDK expects ends one experiment, and not the run.
        seen.reason = f"unexpected {type(error).__name__}: {error}"
        say(f"{experiment.name}: ended early: {seen.reason}")
    finally:
        ended[experiment].set()
