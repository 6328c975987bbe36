"""One studio of a run: leased, created, started, set up, replaced if it fails to come up, and released."""

import threading
import time
from contextlib import suppress
from functools import partial

from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine import retry
from lightning_native.engine.cancellation import Cancelled
from lightning_native.engine.context import RunContext
from lightning_native.engine.planning.layout import StudioPlan
from lightning_native.engine.retry import BOOTING, best_effort
from lightning_native.engine.studios.agent_client import LostCommandError
from lightning_native.engine.studios.machine_check import start_on
from lightning_native.engine.studios.setup import ReadyStudio, set_up
from lightning_native.engine.studios.sharing import is_used_by_others, join, leave
from lightning_native.engine.studios.single_flight import SingleFlight
from lightning_native.engine.studios.studio_costs import StudioCosts
from lightning_native.errors import BootError, CloudError, OutOfCapacityError, RefusedError
from lightning_native.lightning.cloud import StudioHandle

_POLL_SECONDS = 0.5


class RunStudio:
    """One studio of a run: leased, created, started, set up, released."""

    def __init__(self, context: RunContext, studio: StudioPlan) -> None:
        self.plan = studio
        self.machine = studio.machines[0] if studio.machines else None
        self._context = context
        self.prepared = SingleFlight(studio.name, self._prepare, context.cancellation)
        self._lock = threading.Lock()
        self._waking = threading.Lock()
        self._closed = False
        self._leased = False
        self._handle: StudioHandle | None = None
        self._account: str | None = None
        # The id of its machine when it was last known to run; a restart gives it another.
        self.machine_id = ""
        self._open_steps = set(studio.steps)
        # Whether a command was lost in it, so that it may not run any more.
        self.is_suspect = False
        self._replacements = 0
        self.costs = StudioCosts(context, studio.name, studio.steps[0] if len(studio.steps) == 1 else None)

    def _prepare(self) -> ReadyStudio:
        try:
            return self._prepare_once()
        except (BootError, LostCommandError) as error:
            if not self.may_be_replaced():
                raise
            self._context.journal.event(f"{error}; another studio replaces it")
        self._discard()
        return self._prepare_once()

    def may_be_replaced(self) -> bool:
        """Return, once, that another studio may take its place although no step has an attempt for that."""
        with self._lock:
            self._replacements += 1
            return self._replacements == 1 and not self.plan.keep

    def replace_if_lost(self) -> None:
        """Let the next use of the studio prepare another one if this one does not run, or was never ready."""
        with self._waking:
            if self.plan.keep or self._handle is None or not (self.prepared.has_failed or self._is_lost()):
                return
            self.is_suspect = False
            self._context.journal.event(f"studio {self.plan.name} is lost; another one replaces it")
            self._discard()
            self.prepared = SingleFlight(self.plan.name, self._prepare, self._context.cancellation)

    def _is_lost(self) -> bool:
        handle = self._handle
        return handle is not None and not self._context.patiently(handle.is_up)

    def _discard(self) -> None:
        """Delete the studio; its lease stays open for the one that follows."""

        def delete() -> None:
            for studio in self._context.cloud.find_studios(self.plan.name):
                studio.release(delete=True)

        self._context.patiently(delete)
        best_effort(self.costs.close)

    def _prepare_once(self) -> ReadyStudio:
        handle = self._start(self._create(self._account_of(self.machine)))
        self._note_machine(handle)
        self.costs.booted()
        ready = set_up(
            handle,
            self._context,
            name=self.plan.name,
            steps=self.plan.steps,
            requirements=self.plan.requirements,
            setup=self.plan.setup,
            kept=self.plan.keep,
        )
        self.costs.prepared()
        return ready

    def _account_of(self, machine: str | None) -> str | None:
        """Return the cloud account for one of its machines; None: Lightning's own choice."""
        if machine is None:
            return self._context.plan.cloud_account
        return self._context.accounts.of(self.plan.machines, machine)

    def _create(self, account: str | None) -> StudioHandle:
        # Under the lock, so that `close` either prevents the creation or finds the studio.
        with self._lock:
            if self._closed or self._context.cancellation.requested:
                raise Cancelled
            cloud = self._context.cloud
            if self.plan.keep:
                self._handle = self._join(account)
                self._check_account(self._handle)
            else:
                self._context.journal.lease("studio", self.plan.name, on_release="delete")
                self._leased = True
                create = partial(cloud.create_studio, self.plan.name, cloud_account=account)
                self._handle = self._context.patiently(create)
            self._account = account
            return self._handle

    def _check_account(self, handle: StudioHandle) -> None:
        """Refuse a studio of the user's on another account than the plan names, because a studio stays on its own."""
        wanted, account = self._context.plan.cloud_account, handle.cloud_account
        if wanted and account and wanted != account:
            raise RefusedError(
                f"studio {self.plan.name!r} is on cloud account {account} for ever, and the plan names {wanted}; name "
                "another studio, or no account"
            )

    def _join(self, account: str | None = None) -> StudioHandle:
        def pause(seconds: float) -> None:
            if self._context.cancellation.wait(seconds):
                raise Cancelled

        self._leased = True
        return join(self._context.journal, self._context.cloud, self.plan.name, pause, account)

    @property
    def account(self) -> str | None:
        """The cloud account of the studio; None: unknown, or the default one."""
        return self._handle.cloud_account if self._handle is not None else self._account

    @property
    def handle(self) -> StudioHandle:
        """The studio.

        Raises:
            CloudError: it is not there yet.
        """
        if self._handle is None:
            raise CloudError(f"studio {self.plan.name!r} is not there yet")
        return self._handle

    def wake(self) -> None:
        """Start a studio of the user's again if it was stopped meanwhile, as by a run of another computer."""
        with self._waking:
            try:
                if not self.plan.keep or self._handle is None or self._handle.is_up():
                    return
            except CloudError:
                # A failed call does not prove that the studio is stopped.
                return
            with self._lock:
                if self._closed:
                    raise Cancelled
                self._handle = self._join()
            self._start(self._handle)
            self.costs.prepared()
            self._note_machine(self._handle)

    def _note_machine(self, handle: StudioHandle) -> None:
        with suppress(CloudError):
            self.machine_id = handle.machine_id()

    def was_restarted(self, machine_id: str, seconds: float) -> bool:
        """Return whether the studio gets, within some seconds, another machine than the one of this id.

        A studio that is stopped gets none: a person or Lightning wants it to stay so.
        """
        handle, deadline = self._handle, time.monotonic() + (seconds if retry.waits else 0)
        if handle is None or not machine_id:
            return False
        while True:
            with suppress(CloudError):
                handle.settle()
                if not handle.is_up():
                    return False
                self._note_machine(handle)
                if self.machine_id not in ("", machine_id):
                    return True
            if time.monotonic() > deadline or self._context.cancellation.requested:
                return False
            time.sleep(_POLL_SECONDS)

    def end_message(self) -> str:
        """Return Lightning's words about the end of the studio; empty if it runs, or without any."""
        try:
            return "" if self._handle is None or self._handle.is_up() else self._handle.message()
        except CloudError:
            return ""

    def _start(self, handle: StudioHandle) -> StudioHandle:
        """Start the studio on the first of its machines that is available, and return it."""
        if self.plan.keep and self.plan.machines:
            self._check_machine(handle, self.plan.machines[0])
        self.costs.begin(self.plan.machines[0] if self.plan.machines else DEFAULT_MACHINE, self.account)
        timeout = self._context.plan.boot_timeout
        if not self.plan.machines:
            self._context.patiently(partial(handle.start, None, timeout), BOOTING)
            return handle
        for machine in self.plan.machines:
            try:
                handle = self._on_account_of(machine, handle)
                # A studio that the user has started is not ours to stop.
                stop = not self.plan.keep or self._context.journal.owes_stop(self.plan.name)
                start = partial(start_on, handle, machine, self._context.cancellation, timeout=timeout, stop=stop)
                self._context.patiently(start, BOOTING)
            except OutOfCapacityError as error:
                if machine == self.plan.machines[-1]:
                    raise
                self._context.journal.event(f"studio {self.plan.name}: {error}; trying the next machine")
                following = self.plan.machines[self.plan.machines.index(machine) + 1]
                self.costs.begin(following, self._account_of(following))
                continue
            self.machine = machine
            return handle
        raise CloudError(f"studio {self.plan.name!r} has no machine to run on")

    def _on_account_of(self, machine: str, handle: StudioHandle) -> StudioHandle:
        """Return the studio on the account of one of its machines; it is created again, as nothing is in it yet."""
        account = self._account_of(machine)
        if self.plan.keep or account == self._account:
            return handle
        self._context.patiently(partial(handle.release, delete=True))
        return self._create(account)

    def _check_machine(self, handle: StudioHandle, machine: str) -> None:
        """Refuse to switch a studio's machine while another run uses it."""

        def is_on_another() -> bool:
            handle.settle()
            return handle.is_running() and not handle.runs_on(machine)

        if not self._context.patiently(is_on_another):
            return
        other = is_used_by_others(self._context.journal, handle)
        if other is not None:
            raise CloudError(
                f"studio {self.plan.name!r} does not run on {machine}, and switching it would end run {other}, which "
                "uses it; wait for its end, or name no main machine"
            )

    def stop_by_force(self) -> None:
        """Stop the studio, and so its commands."""
        if self._handle is not None:
            self._handle.release(delete=False)

    def step_ended(self, step: str) -> bool:
        """Return whether that was the studio's last step; an idle machine costs as much as a busy one."""
        self._open_steps.discard(step)
        return not self._open_steps and not self.plan.keep

    def close(self) -> None:
        """Release the studio; if that fails now, it stays in the journal as an open lease."""
        with self._lock:
            self._closed = True
            if not best_effort(self._context.journal.flush):
                return
            if self._leased and best_effort(self._release):
                self._leased = False
                best_effort(self.costs.close)

    def _kept_for_inspection(self) -> bool:
        policy = self._context.plan.keep_studios
        if policy != "on_failure":
            return policy == "always"
        records = self._context.journal.journal.steps(self._context.plan.run_id)
        return any(record.state == "failed" and record.name in self.plan.steps for record in records)

    def _release(self) -> None:
        if self.plan.keep:
            leave(self._context.journal, self._context.cloud, self.plan.name)
            return
        # There may be several studios of this name, because the answer to a creation may be lost.
        handles = [self._handle] if self._handle else self._context.cloud.find_studios(self.plan.name)
        for handle in handles:
            handle.release(delete=not self._kept_for_inspection())
        self._context.journal.released("studio", self.plan.name)
