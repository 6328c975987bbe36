"""Studios that several runs use at once: the last of them to leave stops what one of them has started.

A run records that it uses a studio before it looks whether the studio is up. It owes the stop, as a lease, only where
it was not: a studio that somebody had started before stays as it was found. A run that leaves while others are there
hands its debt over. Runs of this home know each other by the journal, those of other computers by what the agent runs
in the studio.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lightning_native import agent
from lightning_native.agent_protocol import REMOTE_HOME, read_answer
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Environment
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.record.run_journal import RunJournal
from lightning_native.engine.studios.agent_client import AGENT_SOURCE
from lightning_native.errors import CloudError
from lightning_native.home import locked
from lightning_native.lightning.cloud import Cloud, StudioHandle


def join(journal: RunJournal, cloud: Cloud, name: str, pause: Callable[[float], object]) -> StudioHandle:
    """Have a run use a studio, which is created if it is not there, and owe its stop if it is not up.

    Args:
        journal: of the run.
        cloud: where the studio is.
        name: the studio's.
        pause: waits for seconds while another run comes or goes; it raises what is to end the wait.

    Raises:
        CloudError: the studio can be neither found nor created.
    """
    with locked(_lock(name), pause):
        journal.use(name)
        handle = cloud.find_studio(name)
        if handle is None or not handle.is_up():
            journal.lease("studio", name, on_release="stop")
        return handle or _create(journal, cloud, name)


def _create(journal: RunJournal, cloud: Cloud, name: str) -> StudioHandle:
    """Create a studio that a user has named, and say what else may have come of that: others may name theirs alike."""
    before = {studio.name for studio in cloud.find_studios(name)}
    handle = cloud.create_studio(name, ours=False)
    for studio in cloud.find_studios(name):
        if studio.name not in {name, *before}:
            journal.event(
                f"studio {studio.name} was created together with {name}, maybe by a request whose answer was lost; "
                "delete it if it is not yours"
            )
    return handle


def leave(journal: RunJournal, cloud: Cloud, name: str) -> None:
    """End a run's use of a studio, with the commands that it has there; stop the studio if it owes that to nobody else.

    Raises:
        CloudError: that cannot be done now; the run still owes it.
    """
    with locked(_lock(name)):
        others = other_runs(journal.journal, journal.run_id, name)
        owes = journal.owes_stop(name)
        handle = cloud.find_studio(name)
        if handle is not None:
            owed = ["--owes"] if owes and not others else []
            answer = _ask(handle, "leave", journal.run_id, *owed) or {}
            # A run of another computer may have left it to this one; or this one has left it to one of those.
            owes = owes if others and not answer.get("stop") else answer.get("stop", owes)
            if owes and not others:
                handle.release(delete=False)
        journal.left(name, heir=others[0] if others and owes else None, stopped=owes and not others)


def is_used_by_others(journal: RunJournal, handle: StudioHandle) -> str | None:
    """Return the id of another run that uses a studio, None if there is none."""
    others = other_runs(journal.journal, journal.run_id, handle.name)
    if not others:
        others = (_ask(handle, "leave", journal.run_id, "--stay") or {}).get("others", [])
    return others[0] if others else None


def delete_environment(journal: Journal, cloud: Cloud, environment: Environment) -> bool:
    """Delete a template studio unless a run uses it; tell whether it is gone.

    Raises:
        CloudError: it cannot be deleted.
    """
    # Runs record their use before they wait for this lock.
    with locked(environment.fingerprint):
        if other_runs(journal, None, environment.studio, environment.cloud):
            return False
        studio = cloud.find_studio(environment.studio)
        if studio is not None:
            studio.release(delete=True)
        journal.forget_studio(environment.cloud, environment.studio)
    return True


def other_runs(journal: Journal, run_id: str | None, studio: str, cloud: str = "") -> list[str]:
    """Return the runs of this home but one that are driven and use a studio, on its cloud or the one that is named."""
    if run_id is not None:
        record = journal.run(run_id)
        cloud = record.cloud if record else cloud
    return [run for run in journal.users(cloud, studio) if run != run_id and RunFolder.of(run).is_driven()]


def _ask(handle: StudioHandle, *arguments: str) -> dict[str, Any] | None:
    """Ask the agent in a studio; None where there is none, and so no run either."""
    if not handle.is_running():
        return None
    answer = read_answer(*handle.run([*agent.COMMAND, *arguments]))
    if answer is None:
        # It may be one of before: who else is there is known by this one only.
        with suppress(CloudError):
            handle.upload(AGENT_SOURCE, f"{REMOTE_HOME}/agent.py")
        answer = read_answer(*handle.run([*agent.COMMAND, *arguments]))
    return answer


def _lock(studio: str) -> str:
    return f"studio-{hashlib.sha256(studio.encode()).hexdigest()[:32]}"
