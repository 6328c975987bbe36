"""Steps as commands in studios: a main one, and one of its own for each step that asks for another machine."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from lightning_native import unique_studio_name
from lightning_native.engine.executor import Cancellation, StepResult
from lightning_native.engine.journal import Journal
from lightning_native.engine.layout import StudioPlan
from lightning_native.engine.operation import REMOTE_HOME, Agent, Operation, Outcome
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import CloudError
from lightning_native.lightning.studios import StudioCloud, StudioHandle

# Time a stopped step has to save what it wants to save.
GRACE_SECONDS = 10.0

_SETUP = """\
set -eu
if [ -s "$1" ]; then
    command -v uv >/dev/null 2>&1 || python3 -m pip install --quiet uv
    uv pip install --python "$(command -v python || command -v python3)" -r "$1"
fi
shift
for command in "$@"; do
    printf '+ %s\\n' "$command"
    sh -euc "$command"
done
"""


class StudioPlacement:
    """Runs the steps of one plan in studios, each prepared once, by the first step that needs it."""

    def __init__(
        self,
        plan: RunPlan,
        studios: tuple[StudioPlan, ...],
        *,
        cloud: StudioCloud,
        journal: Journal,
        folder: RunFolder,
        environments: Mapping[str, Mapping[str, str]],
        cancellation: Cancellation,
    ) -> None:
        self._run_id = plan.run_id
        self._journal = journal
        self._folder = folder
        self._environments = environments
        self._cancellation = cancellation
        self._studios = [_RunStudio(plan, studio, cloud, journal, folder, cancellation) for studio in studios]
        self._studio_of = {step: studio for studio in self._studios for step in studio.plan.steps}
        self._operations: dict[str, Operation] = {}
        self._operations_lock = threading.Lock()

    def prepare(self) -> None:
        """Start preparing the studios that several steps share, without waiting for them."""
        for studio in self._studios:
            if len(studio.plan.steps) > 1:
                studio.prepare_in_background()

    def run_step(self, step: StepPlan) -> StepResult:
        """Run one step to its end. Never raises: whatever goes wrong is the step's result."""
        studio = self._studio_of[step.name]
        self._journal.step_preparing(self._run_id, step.name, studio.plan.name, studio.plan.machine)
        try:
            outcome = self._run_in(studio, step)
        except _Cancelled:
            return StepResult("stopped", None, "the run was stopped")
        except Exception as error:
            if self._cancellation.requested:
                return StepResult("stopped", None, "the run was stopped")
            message = str(error) or type(error).__name__
            with self._folder.log(step.name).open("ab") as log:
                log.write(f"lightning-native: {message}\n".encode())
            return StepResult("failed", None, message)
        finally:
            studio.step_done(step.name)
        if outcome.stopped:
            return StepResult("stopped", outcome.exit_code, "the step was stopped")
        if outcome.timed_out:
            return StepResult("failed", outcome.exit_code, f"it ran longer than its limit of {step.timeout:g} s")
        if outcome.exit_code != 0:
            return StepResult("failed", outcome.exit_code, f"its command ended with exit code {outcome.exit_code}")
        return StepResult("succeeded", 0)

    def _run_in(self, studio: "_RunStudio", step: StepPlan) -> Outcome:
        ready = studio.wait_until_prepared()
        operation = ready.operation(f"{self._run_id}.{unique_studio_name(step.name)}.1")
        with self._operations_lock:
            self._operations[step.name] = operation
        try:
            if self._cancellation.requested:
                raise _Cancelled
            with self._folder.log(step.name).open("ab", buffering=0) as log:
                return operation.run(
                    step.argv,
                    cwd=f"~/{ready.code}",
                    env=self._environments.get(step.name, {}),
                    scratch=step.scratch,
                    timeout=step.timeout,
                    output=log.write,
                    started=lambda: self._journal.step_running(self._run_id, step.name),
                    pause=self._cancellation.wait,
                )
        finally:
            with self._operations_lock:
                del self._operations[step.name]

    def stop_running(self) -> None:
        """Ask every running step to end, without waiting for it."""
        with self._operations_lock:
            operations = list(self._operations.values())
        for operation in operations:
            threading.Thread(target=_stop_quietly, args=(operation,), daemon=True).start()

    def close(self) -> None:
        """Give up every studio at once, whatever it is doing."""
        threads = [threading.Thread(target=studio.close) for studio in self._studios]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class _Cancelled(Exception):  # noqa: N818  not an error: the user's wish
    """The run was stopped while something was being prepared."""


class _ReadyStudio:
    """A studio that has the code, the requirements and the agent."""

    def __init__(self, handle: StudioHandle, agent: Agent, code: str) -> None:
        self._handle = handle
        self.agent = agent
        self.code = code

    def operation(self, operation_id: str) -> Operation:
        return Operation(self.agent, self._handle, operation_id)


class _RunStudio:
    """One studio of a run: leased, created, started, set up, given up."""

    def __init__(
        self,
        plan: RunPlan,
        studio: StudioPlan,
        cloud: StudioCloud,
        journal: Journal,
        folder: RunFolder,
        cancellation: Cancellation,
    ) -> None:
        self.plan = studio
        self.prepared: Future[_ReadyStudio] = Future()
        self._run = plan
        self._cloud = cloud
        self._journal = journal
        self._folder = folder
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._begun = False
        self._closed = False
        self._handle: StudioHandle | None = None
        self._leased = False
        self._ready: _ReadyStudio | None = None
        self._open_steps = set(studio.steps)

    def prepare_in_background(self) -> None:
        """Prepare the studio in a thread of its own; only the first call does anything."""
        with self._lock:
            if self._begun:
                return
            self._begun = True
        threading.Thread(target=self._prepare, name=f"prepare {self.plan.name}", daemon=True).start()

    def wait_until_prepared(self) -> _ReadyStudio:
        """Prepare the studio if nobody did, and wait for it.

        Raises:
            CloudError: the studio could not be prepared; every step of it gets the same error.

        """
        self.prepare_in_background()
        while not self._cancellation.requested:
            try:
                return self.prepared.result(timeout=0.2)
            except TimeoutError:
                if self.prepared.done():
                    raise
        raise _Cancelled

    def _prepare(self) -> None:
        try:
            self._ready = self._set_up(self._create())
            self.prepared.set_result(self._ready)
        except BaseException as error:
            self.prepared.set_exception(error)

    def _create(self) -> StudioHandle:
        # Under the lock, so that closing either prevents the creation or sees the studio.
        with self._lock:
            if self._closed or self._cancellation.requested:
                raise _Cancelled
            if self.plan.keep:
                handle = self._cloud.find_studio(self.plan.name)
                if handle is None or not handle.is_running():
                    self._lease("stop")
                self._handle = handle or self._cloud.create_studio(self.plan.name)
            else:
                self._lease("delete")
                self._handle = self._cloud.create_studio(self.plan.name)
            return self._handle

    def _lease(self, on_release: str) -> None:
        self._journal.lease(self._run.run_id, "studio", self.plan.name, on_release)
        self._leased = True

    def _set_up(self, handle: StudioHandle) -> _ReadyStudio:
        handle.start(self.plan.machine)
        agent = Agent(handle)
        agent.install()
        code = self._folder.code()
        remote_code = agent.unpack(code.archive, code.sha256, code.digest)
        ready = _ReadyStudio(handle, agent, remote_code)
        if self.plan.requirements or self._run.custom_commands:
            self._install(handle, ready)
        return ready

    def _install(self, handle: StudioHandle, ready: _ReadyStudio) -> None:
        name = f"setup-{self.plan.name}"
        requirements = f"{self._run.run_id}.requirements.txt"
        local = self._folder.path / f"{name}.requirements.txt"
        local.write_text(self.plan.requirements)
        handle.upload(local, f"{REMOTE_HOME}/{requirements}")
        log_path = self._folder.log(name)
        with log_path.open("ab", buffering=0) as log:
            outcome = ready.operation(f"{self._run.run_id}.{unique_studio_name(name)}.1").run(
                ["sh", "-c", _SETUP, "setup", f"../../{requirements}", *self._run.custom_commands],
                cwd=f"~/{ready.code}",
                env={},
                output=log.write,
                pause=self._cancellation.wait,
            )
        if outcome.exit_code != 0:
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
            raise CloudError(f"studio {self.plan.name!r} cannot be set up (exit code {outcome.exit_code}):\n{tail}")

    def step_done(self, step: str) -> None:
        """Give the studio up as soon as its last step has ended: a machine that waits costs as much as a busy one."""
        self._open_steps.discard(step)
        if not self._open_steps and not self.plan.keep:
            self.close()

    def close(self) -> None:
        """Give the studio up. What cannot be given up now stays in the journal as an open lease."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, None
            if self.plan.keep and ready is not None:
                _quietly(lambda: ready.agent.forget(self._run.run_id))
            if not self._leased:
                return
            if _quietly(self._release):
                self._leased = False

    def _release(self) -> None:
        handle = self._handle or self._cloud.find_studio(self.plan.name)
        if handle is not None:
            handle.release(delete=not self.plan.keep)
        self._journal.released(self._run.run_id, "studio", self.plan.name)


def _stop_quietly(operation: Operation) -> None:
    _quietly(lambda: operation.stop(GRACE_SECONDS))


def _quietly(action: Callable[[], object]) -> bool:
    """Do what may fail without harm, because the journal keeps what is left to do; tell whether it went well."""
    try:
        action()
    except Exception:
        return False
    return True
