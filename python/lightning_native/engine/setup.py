"""Making a studio ready for steps: the agent, the code, and what must be installed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_native.engine.operation import REMOTE_HOME, Agent, Operation
from lightning_native.engine.placements.base import RunContext
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import StudioHandle

_SCRIPT = """\
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
_SHOWN_LINES = 15


@dataclass(frozen=True)
class ReadyStudio:
    """A studio that has the agent and the code, at `code` below its home, and what must be installed."""

    handle: StudioHandle
    agent: Agent
    code: str

    def operation(self, operation_id: str) -> Operation:
        """Return the operation of this id in the studio."""
        return Operation(self.agent, self.handle, operation_id)


def set_up(
    handle: StudioHandle, context: RunContext, *, name: str, requirements: str, commands: Sequence[str]
) -> ReadyStudio:
    """Give a running studio the agent and the run's code, and install what it needs.

    Safe to repeat: what is there is not done again.

    Raises:
        CloudError: something could not be uploaded or installed; the message ends with what was printed.
    """
    agent = Agent(handle, context.cancellation.wait)
    agent.install()
    code = context.folder.code()
    ready = ReadyStudio(handle, agent, agent.unpack(code.archive, code.sha256, code.digest))
    if requirements or commands:
        _install(ready, context, name, requirements, commands)
    return ready


def _install(ready: ReadyStudio, context: RunContext, name: str, requirements: str, commands: Sequence[str]) -> None:
    label = f"setup-{name}"
    remote = f"{hashlib.sha256(requirements.encode()).hexdigest()[:32]}.requirements.txt"
    local = context.folder.path / remote
    local.write_text(requirements)
    ready.agent.upload(local, f"{REMOTE_HOME}/{remote}")
    log_path = context.folder.log(label)
    with log_path.open("ab", buffering=0) as log:
        outcome = ready.operation(context.operation_id(label, 1)).run(
            ["sh", "-c", _SCRIPT, "setup", f"../../{remote}", *commands],
            cwd=f"~/{ready.code}",
            env={},
            output=log.write,
            offset=log_path.stat().st_size,
        )
    if outcome.exit_code != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
        raise CloudError(
            f"studio {ready.handle.name!r} cannot be set up for {name!r} (exit code {outcome.exit_code}):\n{tail}"
        )
