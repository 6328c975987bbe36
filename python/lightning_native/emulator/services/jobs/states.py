"""The states of a job, in the API's words but for `saving`, which the API shows as `pending` or by its outcome.

pending → running → saving → completed, failed or stopped; restarting between attempts; stopping while processes end.
"""

PENDING, RUNNING, RESTARTING, STOPPING, SAVING = "pending", "running", "restarting", "stopping", "saving"
COMPLETED, FAILED, STOPPED = "completed", "failed", "stopped"
_FINAL = (COMPLETED, FAILED, STOPPED)


def is_final(state: str) -> bool:
    """Whether a job in this state has ended."""
    return state in _FINAL


def shown(state: str) -> str:
    """Return a state as the API shows it."""
    return PENDING if state == SAVING else state
