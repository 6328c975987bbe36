"""The meters of a run, the sum of its costs across controllers, and what is left of its budgets."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_native.engine.budget import RunBudget, Share
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.budgets import month_begin, set_monthly_budget
from lightning_native.engine.record.costs import CostRecord, costs_of, spent_since
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.spending import Spending
from lightning_native.errors import CloudError
from lightning_native.lightning.memory import MemoryCloud

HOURLY = 3600.0


class PricedCloud(MemoryCloud):
    """A cloud whose machines cost a dollar a second, but for those without a price."""

    def hourly_cost(
        self, machine: str, cloud_account: str | None = None, *, interruptible: bool = False
    ) -> float | None:
        del cloud_account
        if machine == "H100":
            raise CloudError("the list cannot be read")
        return HOURLY / 2 if interruptible else HOURLY


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db") as journal:
        yield journal


def begin(journal: Journal, run_id: str = "run") -> RunJournal:
    return journal.drive(run_id, "name", "cloud", 1, ["a"])


def budget_of(journal: RunJournal, spending: Spending, dollars: float | None) -> RunBudget:
    plan = RunPlan(journal.run_id, "name", (StepPlan("a", ("true",)),), budget=dollars)
    return RunBudget(plan, journal, "cloud", spending)


def test_a_cost_is_the_larger_of_time_and_report(journal: Journal) -> None:
    spending = Spending(begin(journal), PricedCloud())
    meter = spending.meter("job", "j", "CPU", step="a")
    assert (meter.is_running, meter.cost()) == (False, 0.0)
    meter.begin(100.0)
    meter.end(5.0)
    assert meter.cost() == 5.0
    meter.report(3.0)
    assert meter.cost() == 5.0
    meter.report(8.0)
    meter.report(7.0)
    assert meter.cost() == 8.0
    assert spending.total() == 8.0
    assert spending.meter("job", "i", "CPU", interruptible=True).cost() == 0.0


def test_a_machine_without_a_price_costs_what_is_reported(journal: Journal) -> None:
    meter = Spending(begin(journal), PricedCloud()).meter("job", "j", "H100", step="a")
    meter.begin()
    assert meter.cost() is None
    meter.report(2.5)
    meter.end()
    assert meter.cost() == 2.5


def test_the_next_machine_under_a_name_is_added(journal: Journal) -> None:
    spending = Spending(begin(journal), PricedCloud())
    spending.meter("studio", "s", "CPU").begin(10.0)
    spending.meter("studio", "s", "CPU").end(10.0)
    spending.meter("studio", "s", "CPU_X_8").begin()
    spending.meter("studio", "s", "CPU_X_8").end(4.0)
    assert spending.total() == pytest.approx(14.0)


def test_a_later_controller_goes_on_and_counts_what_it_does_not_know(journal: Journal) -> None:
    first = Spending(begin(journal), PricedCloud())
    first.meter("studio", "goes on", "CPU").begin(50.0)
    first.meter("job", "ended", "CPU", step="a").end(7.0)
    first.meter("job", "unknown", "CPU", step="a").begin(20.0)
    journal.flush()
    second = Spending(begin(journal), PricedCloud())
    assert second.total() >= 77.0
    meter = second.meter("studio", "goes on", "CPU")
    assert meter.is_running
    assert 50.0 <= (meter.cost() or 0) < 77.0
    second.close()
    journal.flush()
    records = costs_of(journal, "run")
    assert [record.ended is None for record in records] == [False] * 3
    assert sum(record.dollars for record in records) == pytest.approx(second.total(), abs=5)


def test_a_step_costs_all_its_jobs(journal: Journal) -> None:
    run = begin(journal)
    spending = Spending(run, PricedCloud())
    for name, seconds in (("one", 3.0), ("two", 4.0)):
        spending.meter("job", name, "CPU", step="a").end(seconds)
    run.cost_corrected("a")
    assert journal.steps("run")[0].cost == pytest.approx(7.0)
    run.cost_added("a", 1.5)
    assert journal.steps("run")[0].cost == pytest.approx(8.5)


def test_a_budget_is_used_a_moment_before_nothing_is_left(journal: Journal) -> None:
    run = begin(journal)
    spending = Spending(run, PricedCloud())
    budget = budget_of(run, spending, 1000.0)
    assert (budget.left(), budget.is_used()) == (1000.0, False)
    meter = spending.meter("studio", "s", "CPU")
    meter.begin(900.0)
    assert not budget.is_used()
    meter.begin()
    meter.end(990.0)
    # Nothing runs, so that a stop costs nothing.
    assert not budget.is_used()
    spending.meter("job", "j", "CPU").begin()
    assert budget.is_used()
    assert budget.reason() == "it has used its budget of $1000.00"


def test_without_a_budget_nothing_is_limited(journal: Journal) -> None:
    run = begin(journal)
    spending = Spending(run, PricedCloud())
    spending.meter("job", "j", "CPU").begin(1e6)
    budget = budget_of(run, spending, None)
    assert (budget.is_limited, budget.left(), budget.is_used(), budget.seconds_of_studios()) == (
        False,
        None,
        False,
        None,
    )
    assert budget.seconds_of_jobs([Share(1.0, 1.0)]) == [None]


def test_the_budget_of_a_month_counts_other_runs_of_this_month_alone(journal: Journal) -> None:
    set_monthly_budget(journal, "cloud", 100.0)
    begin_of_month = month_begin()
    for run_id, began, ended, dollars in (
        ("before", begin_of_month - 100, begin_of_month - 50, 40.0),
        # Half of it is this month's.
        ("across", begin_of_month - 10, begin_of_month + 10, 20.0),
        ("now", time.time() - 1, time.time(), 25.0),
    ):
        other = begin(journal, run_id)
        other.cost(CostRecord(run_id, "job", "j", None, "CPU", HOURLY, began, ended, dollars))
    elsewhere = journal.drive("elsewhere", "name", "another cloud", 1, [])
    elsewhere.cost(CostRecord("elsewhere", "job", "j", None, "CPU", HOURLY, time.time() - 9, time.time(), 50.0))
    run = begin(journal)
    spending = Spending(run, PricedCloud())
    spending.meter("job", "own", "CPU", step="a").end(30.0)
    journal.flush()
    assert spent_since(journal, "cloud", begin_of_month) == pytest.approx(65.0)
    budget = budget_of(run, spending, None)
    assert budget.left() == pytest.approx(35.0)
    # The smaller of both counts.
    assert budget_of(run, spending, 31.0).left() == pytest.approx(1.0)
    assert "for this month" in budget.reason()


def test_the_rest_of_a_budget_is_shared_by_need(journal: Journal) -> None:
    run = begin(journal)
    budget = budget_of(run, Spending(run, PricedCloud()), 10_000.0)
    short, long = budget.seconds_of_jobs([Share(1.0, 100.0), Share(1.0, 300.0)])
    assert short == pytest.approx(2500.0, abs=100)
    assert long == pytest.approx(7500.0, abs=100)
    (beside,) = budget.seconds_of_jobs([Share(2.0, 100.0)], [Share(1.0, 200.0)])
    assert beside == pytest.approx(2500.0, abs=100)
    assert budget.seconds_of_jobs([Share(0.0, 100.0)]) == [None]


def test_studios_that_run_have_the_same_time(journal: Journal) -> None:
    run = begin(journal)
    spending = Spending(run, PricedCloud())
    budget = budget_of(run, spending, 1000.0)
    for name in ("one", "two"):
        spending.meter("studio", name, "CPU").begin()
    assert budget.seconds_of_studios() == pytest.approx(500.0, abs=10)
