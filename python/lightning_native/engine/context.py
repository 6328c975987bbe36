"""The context of one run, as every part below the run receives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from lightning_native.engine.activities import Activities
from lightning_native.engine.budget import RunBudget
from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.account_choice import AccountChoice, step_machines
from lightning_native.engine.record.run_folder import RunFolder, StepLog
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.resource_names import operation_id
from lightning_native.engine.retry import PATIENTLY, RetryPolicy, retry
from lightning_native.engine.spending import Spending
from lightning_native.engine.step_records import StepRecords
from lightning_native.lightning.cloud import Cloud
from lightning_native.terminal import clean
from lightning_native.user_input.url_credentials import without_secrets

T = TypeVar("T")


@dataclass(frozen=True)
class RunContext:
    """The plan of one run, and the objects that its placement needs."""

    plan: RunPlan
    cloud: Cloud
    cloud_name: str
    journal: RunJournal
    folder: RunFolder
    variables: Mapping[str, Mapping[str, str]]
    cancellation: Cancellation
    records: StepRecords = field(default_factory=StepRecords)
    abandoned: dict[str, str] = field(default_factory=dict)
    """The steps whose running attempt is abandoned, each with the reason."""
    told_on_demand: set[tuple[str, str]] = field(default_factory=set)
    """The steps and machines about which the journal says that they are not interruptible."""

    @cached_property
    def activities(self) -> Activities:
        """The work besides the steps, for the view of the run."""
        return Activities(self.folder.path)

    @cached_property
    def accounts(self) -> AccountChoice:
        """The cloud accounts of the run's machines."""
        return AccountChoice(self.plan.cloud_account, self.cloud)

    def account_of(self, step: StepPlan, machine: str) -> str | None:
        """Return the cloud account on which a step's job runs on one of its machines; None: Lightning's own choice."""
        return self.accounts.of(step_machines(self.plan, step), machine, interruptible=step.interruptible)

    def is_interruptible(self, step: StepPlan, machine: str) -> bool:
        """Return whether a step's job asks for an interruptible machine, which it does only where that costs less."""
        if not step.interruptible:
            return False
        offer = self.accounts.offer(machine, self.account_of(step, machine), interruptible=True)
        if offer is None or offer.is_cheaper_interruptible:
            return True
        if (step.name, machine) in self.told_on_demand:
            return False
        self.told_on_demand.add((step.name, machine))
        spot = offer.interruptible_hourly_cost
        why = "is not offered as an interruptible machine" if spot is None else f"costs ${spot:.2f} an hour so"
        self.journal.event(f"{machine} {why}; it is asked for on demand, at ${offer.hourly_cost:.2f}", step.name)
        return False

    @cached_property
    def spending(self) -> Spending:
        """The costs of the run's machines."""
        return Spending(self.journal, self.cloud)

    @cached_property
    def budget(self) -> RunBudget:
        """The dollars that the run may still cost."""
        return RunBudget(self.plan, self.journal, self.cloud_name, self.spending)

    def patiently(self, action: Callable[[], T], policy: RetryPolicy = PATIENTLY) -> T:
        """Repeat a call through an outage, until it succeeds or the run is stopped, and return its result.

        Raises:
            CloudError: the last failure.
            Cancelled: the run was stopped meanwhile.
        """

        def pause(seconds: float) -> None:
            if self.cancellation.wait(seconds):
                raise Cancelled

        return retry(action, policy, pause=pause)

    def operation_id(self, name: str, attempt: int) -> str:
        """Return the id of an attempt's operation, which is the same after a restart of the controller."""
        return operation_id(self.plan.run_id, name, attempt)

    def output_of(self, step: str, attempt: int, preface: str = "") -> str:
        """Return the end of an attempt's output as it can be shown and recorded: without the step's secrets.

        `preface`: lines at the beginning that are not the step's.
        """
        return self.shown(step, StepLog(self.folder.log(step, attempt)).end().removeprefix(preface))

    def shown(self, step: str, output: str) -> str:
        """Return output of a step as it can be shown and recorded."""
        return without_secrets(clean(output), self.variables.get(step, {}))

    def note(self, step: str, attempt: int, message: str) -> None:
        """Add a line of our own to a step's log."""
        StepLog(self.folder.log(step, attempt)).append(f"lightning-native: {message}\n".encode())
