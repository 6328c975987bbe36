"""The states of a job, in the API's words.

pending → running → completed, failed or stopped; restarting between attempts; stopping while processes end.
"""

PENDING, RUNNING, RESTARTING, STOPPING = "pending", "running", "restarting", "stopping"
COMPLETED, FAILED, STOPPED = "completed", "failed", "stopped"
_FINAL = (COMPLETED, FAILED, STOPPED)


def is_final(state: str) -> bool:
    """Whether a job in this state has ended."""
    return state in _FINAL
