"""The part of the agent's protocol that both sides of it, and the stand-in for machines in memory, have to know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The folder of ours on a machine, below the user's home.
REMOTE_HOME = ".lightning-native"
# The folders below it for users' code and for our own package, one of each version.
CODE, PACKAGE = "code", "package"


@dataclass(frozen=True)
class Outcome:
    """The end of a command; `exit_code` is negative for the signal that ended it; `peak_memory` in bytes."""

    exit_code: int
    timed_out: bool
    stopped: bool
    seconds: float
    peak_memory: int

    @classmethod
    def from_agent(cls, result: Mapping[str, Any]) -> "Outcome":
        """Read the result that `agent.py` gives."""
        # One machine's clock, so that the difference means something.
        seconds = result["ended"] - result["started"]
        return cls(result["exit_code"], result["timed_out"], result["stopped"], seconds, result["peak_memory"])


def read_answer(output: str, code: int) -> dict[str, Any] | None:
    """Return what `agent.py` has answered, None where that is not to be had from what was printed."""
    try:
        # Shell start-up files may print before the answer.
        answer = json.loads(output.splitlines()[-1]) if code == 0 else None
    except (ValueError, IndexError):
        return None
    return answer if isinstance(answer, dict) and answer else None
