"""Template studios: one for each set of requirements, set-up and commands, prepared once and reused."""

import hashlib
import json
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lightning_native.agent import KEPT_CODE_SECONDS, KEPT_CODES
from lightning_native.agent_protocol import AGENT_FILE, CODE, PACKAGE
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.context import RunContext
from lightning_native.engine.packed import Packed
from lightning_native.engine.plan import Setup, StepPlan
from lightning_native.engine.planning.account_choice import step_machines
from lightning_native.engine.planning.layout import merged_requirements
from lightning_native.engine.resource_names import template_studio_name
from lightning_native.engine.retry import BOOTING
from lightning_native.engine.studios.agent_client import AGENT_SOURCE, LostCommandError, unpacking
from lightning_native.engine.studios.interpreter import Interpreter, OtherPython, expected_python
from lightning_native.engine.studios.machine_check import start_on
from lightning_native.engine.studios.setup import described_variables, set_up
from lightning_native.engine.studios.single_flight import SingleFlight
from lightning_native.errors import BootError, CloudError, OutOfCapacityError
from lightning_native.home import locked
from lightning_native.lightning.cloud import StudioHandle

# The agent's path in a studio, and the SHA-256 of this version.
_AGENT = AGENT_FILE, hashlib.sha256(AGENT_SOURCE.read_bytes()).hexdigest()


class TemplateStudios:
    """The template studios of one run, for the steps without images.

    With an `owner` they belong to that owner alone, and no other run reuses them.
    """

    def __init__(self, context: RunContext, owner: str | None = None) -> None:
        by_fingerprint: dict[str, TemplateStudio] = {}
        self._of_step: dict[str, dict[str, TemplateStudio]] = {}
        for step in context.plan.steps:
            if step.image:
                continue
            requirements = merged_requirements([step])
            self._of_step[step.name] = of_machine = {}
            for machine in step_machines(context.plan, step):
                account = context.account_of(step, machine)
                template = TemplateStudio(context, step, requirements, owner, account)
                of_machine[machine] = by_fingerprint.setdefault(template.fingerprint, template)

    def prepare(self) -> None:
        """Start preparing those of the steps' first machines, without waiting."""
        for of_machine in self._of_step.values():
            next(iter(of_machine.values())).prepared.begin()

    def of(self, step: StepPlan, machine: str | None = None) -> "TemplateStudio":
        """Return the template studio that a step runs from on one of its machines, the first one by default."""
        of_machine = self._of_step[step.name]
        return of_machine[machine] if machine else next(iter(of_machine.values()))

    def all(self) -> "list[TemplateStudio]":
        """Return each template studio once."""
        return list(dict.fromkeys(template for each in self._of_step.values() for template in each.values()))


class PreparedStudio(NamedTuple):
    """A template studio from which jobs can start, and the Python of its environment."""

    handle: StudioHandle
    interpreter: Interpreter


class TemplateStudio:
    """One template studio. It runs only while it is being prepared."""

    def __init__(
        self,
        context: RunContext,
        step: StepPlan,
        requirements: str,
        owner: str | None = None,
        cloud_account: str | None = None,
    ) -> None:
        self._context = context
        self._account = cloud_account
        self._step = step
        self._shared = context.plan.reuse_environments and owner is None
        self._requirements = requirements
        self._owner = owner
        journal = context.journal.journal
        self._name_for(expected_python(journal, context.cloud_name, context.cloud.machine_python))
        self.prepared = SingleFlight(self.studio_name, self._prepare, context.cancellation)

    def _name_for(self, python: str) -> None:
        """Set its fingerprint and name from its content and from the machine's version of Python."""
        context, step = self._context, self._step
        # A mapping, so that no studio of an earlier version has the same name: a run may still use it. Earlier names
        # depend on the submitter's version of Python.
        what: list[object] = [self._requirements, context.plan.custom_commands, {"machine": python}]
        variables = described_variables(context, step.name)
        if step.setup != Setup() or variables:
            what += [astuple(step.setup), variables]
        if step.package:
            # Without its version, because a studio gets a new one as it gets new code.
            what.append(PACKAGE)
        if self._account:
            # Its jobs run on its account.
            what.append({"cloud_account": self._account})
        if not context.plan.reuse_environments:
            what.append(context.plan.run_id)
        content = json.dumps(what)
        self._python = python
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()
        self.studio_name = template_studio_name(self.fingerprint, context.journal.journal.home_id(), self._owner)

    def _prepare(self) -> PreparedStudio:
        expected = self._python
        try:
            return self._find_or_create()
        except OtherPython as other:
            self._name_for(other.interpreter.python)
        try:
            return self._find_or_create()
        except OtherPython as other:
            raise CloudError(
                f"of two new studios for one environment, one has Python {self._python} and one "
                f"{other.interpreter.python}, where {expected} was expected; its machines must agree"
            ) from other

    def _find_or_create(self) -> PreparedStudio:
        # Before any check of its users, because a studio that is used is not pruned.
        self._context.journal.use(self.studio_name)
        # Runs of other processes wait here, and then find the studio ready.
        with locked(self.fingerprint):
            found = self._find()
            if found is not None:
                return found
            try:
                return self._create()
            except (BootError, LostCommandError) as error:
                self._context.journal.event(f"{error}; another studio replaces it")
            self._discard()
            return self._create()

    def _discard(self) -> None:
        """Delete a studio that cannot be prepared, and what is recorded about it."""
        cloud = self._context.cloud

        def delete() -> None:
            for studio in cloud.find_studios(self.studio_name):
                studio.release(delete=True)

        self._context.patiently(delete)
        self._context.journal.journal.forget_studio(self._context.cloud_name, self.studio_name)
        self._context.journal.released("studio", self.studio_name)

    def _find(self) -> PreparedStudio | None:
        journal, cloud = self._context.journal.journal, self._context.cloud
        known = [known for known in journal.environments(self._context.cloud_name) if known.studio == self.studio_name]
        handle = self._context.patiently(lambda: cloud.find_studio(self.studio_name))
        for environment in known:
            if environment.ready and environment.executable and environment.version and handle is not None:
                self._record(ready=True)
                self._upload_code(handle)
                return PreparedStudio(handle, Interpreter(environment.executable, environment.version))
        if handle is not None:
            # A dead run has left the studio half prepared.
            self._context.patiently(partial(handle.release, delete=True))
        journal.forget_studio(self._context.cloud_name, self.studio_name)
        return None

    def _create(self) -> PreparedStudio:
        self._record(ready=False)
        self._context.journal.lease("studio", self.studio_name, on_release="stop" if self._shared else "delete")
        create = partial(self._context.cloud.create_studio, self.studio_name, cloud_account=self._account)
        handle = self._context.patiently(create)
        machine = self._context.plan.main_machine or DEFAULT_MACHINE
        meter = self._context.spending.meter("studio", self.studio_name, machine, account=self._account)
        meter.begin()
        try:
            self._start(handle)
            meter.enter("preparation")
            interpreter = set_up(
                handle,
                self._context,
                name=self.studio_name,
                steps=[self._step.name],
                requirements=self._requirements,
                setup=self._step.setup,
                # A studio with an owner may have any version, because no other run finds it by name.
                python=self._python if self._shared else None,
            ).interpreter
        except OtherPython:
            self._discard()
            meter.end()
            raise
        except (BootError, LostCommandError):
            meter.end()
            raise
        is_stopped = self._stop(handle)
        if is_stopped:
            meter.end()
        if self._shared:
            if is_stopped:
                self._context.journal.released("studio", self.studio_name)
            where = self._context.cloud_name, self.studio_name
            self._context.journal.journal.interpreter_found(*where, interpreter.executable, interpreter.version)
        self._record(ready=True)
        # Not uploaded again, because every job would have to compile a new file.
        self._note_upload(*_AGENT)
        if self._step.package:
            self._note_upload(*self._package()[1:])
        self._upload_code(handle)
        return PreparedStudio(handle, interpreter)

    def _stop(self, handle: StudioHandle) -> bool:
        """Stop the studio; return whether that succeeded. If not, its lease demands the stop at the run's end."""
        try:
            self._context.patiently(partial(handle.release, delete=False))
        except CloudError as error:
            if self._context.plan.schedule:
                # The schedule owns it from then on, and no end of this run would stop it.
                raise
            self._context.journal.event(f"{error}; it is stopped at the run's end")
            return False
        return True

    def _start(self, handle: StudioHandle) -> None:
        """Start the studio on the main machine; on the default one if its account has none, as jobs need none here."""
        machine, timeout = self._context.plan.main_machine, self._context.plan.boot_timeout
        if machine is not None:
            start = partial(start_on, handle, machine, self._context.cancellation, timeout=timeout)
            try:
                self._context.patiently(start, BOOTING)
            except OutOfCapacityError as error:
                self._context.journal.event(f"{error}; environment {self.studio_name} is set up on the default machine")
                machine = None
        if machine is None:
            self._context.patiently(partial(handle.start, None, timeout), BOOTING)

    def _record(self, *, ready: bool) -> None:
        if not self._shared:
            return
        journal = self._context.journal.journal
        journal.environment_used(self._context.cloud_name, self.fingerprint, self.studio_name, ready=ready)

    def _upload_code(self, handle: StudioHandle) -> None:
        """Upload the run's code, the agent and our own package, unless this studio has them, and remove old code."""
        code = self._context.folder.code()
        self._upload_once(handle, code.archive, remote_archive(code), code.sha256)
        self._upload_once(handle, AGENT_SOURCE, *_AGENT)
        if self._step.package:
            self._upload_once(handle, *self._package())
        journal, where = self._context.journal.journal, (self._context.cloud_name, self.studio_name)
        for path in journal.unused_uploads(*where, unused_seconds=KEPT_CODE_SECONDS, keep=KEPT_CODES + 2):
            self._context.patiently(partial(handle.remove, path))
            journal.upload_removed(*where, path)

    def _package(self) -> tuple[Path, str, str]:
        """Return our own package's archive, its path in the studio, and its SHA-256."""
        package = self._context.folder.own_package()
        return package.archive, remote_archive(package, PACKAGE), package.sha256

    def _upload_once(self, handle: StudioHandle, path: Path, remote: str, sha256: str) -> None:
        journal, where = self._context.journal.journal, (self._context.cloud_name, self.studio_name)
        if not journal.is_uploaded(*where, remote, sha256):
            self._context.patiently(partial(handle.upload, path, remote))
        self._note_upload(remote, sha256)

    def _note_upload(self, remote: str, sha256: str) -> None:
        self._context.journal.journal.uploaded(self._context.cloud_name, self.studio_name, remote, sha256)


def remote_archive(packed: Packed, room: str = CODE) -> str:
    """Return the path of an archive in a studio, relative to its home."""
    return unpacking(packed, room)[0].removeprefix("~/")
