"""The part of the agent's protocol that both of its sides and the cloud in memory share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Our folder on a machine, relative to the user's home.
REMOTE_HOME = ".lightning-native"
# The folders below it for users' code and for our own package, one of each version.
CODE, PACKAGE = "code", "package"
# Of every archive that goes to a machine.
ARCHIVE_SUFFIX = ".tar.gz"
AGENT_FILE = f"{REMOTE_HOME}/agent.py"
OPERATIONS = f"{REMOTE_HOME}/ops"


def specification_path(operation_id: str) -> str:
    """Return the path, relative to the home, where the specification of an operation, or of several, is uploaded."""
    return f"{OPERATIONS}/{operation_id}.json"


@dataclass(frozen=True, kw_only=True)
class OperationSpec:
    """The specification of one operation. It holds the step's secrets.

    Attributes:
        argv: the command.
        cwd: its working folder; `~` is the home.
        env: its variables besides the machine's.
        scratch: variables that get a private folder, which is removed at the end.
        timeout: seconds that it may take; None: no limit.
        budget: for a job, the seconds that the run's budget pays for; None: no limit.
        bin: the folder of the machine's interpreter, which comes first on PATH; None: the machine's own PATH.
        pythonpath: folders from which its Python imports first.
        unpack: for a job, the (archive, SHA-256, destination) that are unpacked before.
        retry: for a job of a pipeline, the `count`, `delay` and `backoff` of further attempts.
        outputs: the wish of the agent's `Outputs`: the files that it packs, and the folder in which it keeps them.
        mounted: whether the agent's folder is a mount that outlives the job, as in a container.
        word: for a job, the secret that proves its results.
    """

    argv: Sequence[str]
    cwd: str = "~"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    scratch: Sequence[str] = ()
    timeout: float | None = None
    budget: float | None = None
    bin: str | None = None
    pythonpath: Sequence[str] = ()
    unpack: Sequence[tuple[str, str, str]] = ()
    retry: Mapping[str, float] | None = None
    outputs: Mapping[str, Any] | None = None
    mounted: bool = False
    word: str | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, object]:
        """Return the specification as the agent reads it."""
        return {name: value for name, value in asdict(self).items() if value or name in ("argv", "env")}


def outputs_request(cwd: str, wish: Mapping[str, Any]) -> str:
    """Return the request to pack the outputs that a lost command has left in its working folder."""
    return json.dumps({"cwd": cwd, "outputs": dict(wish)})


@dataclass(frozen=True)
class Outcome:
    """The end of a command; `exit_code` is negative for the signal that ended it; `peak_memory` is in bytes.

    Of a command that was killed, `memory` has the bytes of its machine, 0 if unknown, and `out_of_memory` is whether
    the kernel has killed a process there for want of memory meanwhile.

    `over_budget`: it was ended because the run's budget does not pay for more. `outputs` is what the agent tells of the
    outputs: the `number` of its last record, whether they are `in_home`, and the `problem` that it had; None if the
    step has none.
    """

    exit_code: int
    timed_out: bool
    stopped: bool
    seconds: float
    peak_memory: int
    over_budget: bool = False
    outputs: Mapping[str, Any] | None = field(default=None, compare=False)
    memory: int = 0
    out_of_memory: bool = False

    @classmethod
    def from_agent(cls, result: Mapping[str, Any]) -> "Outcome":
        """Read a result of `agent.py`."""
        # Both times are of one machine's clock, so that their difference is a duration.
        seconds = result["ended"] - result["started"]
        outputs = result.get("outputs")
        return cls(
            result["exit_code"],
            result["timed_out"],
            result["stopped"],
            seconds,
            result["peak_memory"],
            bool(result.get("over_budget")),
            outputs if isinstance(outputs, dict) else None,
            int(result.get("memory") or 0),
            bool(result.get("out_of_memory")),
        )


def read_answer(output: str, code: int) -> dict[str, Any] | None:
    """Return the answer of `agent.py` from a command's output and exit code; None if there is none."""
    try:
        # Shell start-up files may print before the answer.
        answer = json.loads(output.splitlines()[-1]) if code == 0 else None
    except (ValueError, IndexError):
        return None
    return answer if isinstance(answer, dict) and answer else None
