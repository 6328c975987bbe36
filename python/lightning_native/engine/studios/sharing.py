"""Shared studios, which several runs use at once: the last run to leave stops a studio that one of them has started.

A run records that it uses a studio before it checks whether the studio is up. It owes the stop, as a lease, only if the
studio was not up: a studio that was started by other means stays as it was found. A run that leaves earlier than others
passes its debt on to one of them. Runs of this home find each other by the journal, those of other computers by the
operations that the agent runs in the studio.
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
from lightning_native.engine.retry import retry
from lightning_native.engine.studios.agent_client import AGENT_SOURCE
from lightning_native.errors import CloudError
from lightning_native.home import locked
from lightning_native.lightning.cloud import Cloud, StudioHandle


def join(
    journal: RunJournal,
    cloud: Cloud,
    name: str,
    pause: Callable[[float], object],
    cloud_account: str | None = None,
) -> StudioHandle:
    """Record that a run uses a studio, and that it owes the stop of one that is not up; create a missing studio.

    Args:
        journal: the run's journal.
        cloud: the cloud of the studio.
        name: the studio's name.
        cloud_account: the account of a new studio.
        pause: waits for some seconds while another run joins or leaves; an error that it raises ends the wait.

    Raises:
        CloudError: the studio can be neither found nor created.
    """

    def found() -> tuple[StudioHandle | None, bool]:
        handle = cloud.find_studio(name)
        return handle, handle is not None and handle.is_up()

    with locked(_lock(name), pause):
        journal.use(name)
        handle, is_up = retry(found, pause=pause)
        if not is_up:
            journal.lease("studio", name, on_release="stop")
        return handle or retry(lambda: _create(journal, cloud, name, cloud_account), pause=pause)


def _create(journal: RunJournal, cloud: Cloud, name: str, cloud_account: str | None) -> StudioHandle:
    """Create a studio that a user has named, and record possible copies, which may also be another user's studios."""
    before = {studio.name for studio in cloud.find_studios(name)}
    handle = cloud.create_studio(name, ours=False, cloud_account=cloud_account)
    for studio in cloud.find_studios(name):
        if studio.name not in {name, *before}:
            journal.event(
                f"studio {studio.name} was created together with {name}, maybe by a request whose answer was lost; "
                "delete it if it is not yours"
            )
    return handle


def leave(journal: RunJournal, cloud: Cloud, name: str) -> None:
    """End a run's use of a studio, and its commands there; stop the studio if the run owes that and leaves last.

    Raises:
        CloudError: that cannot be done now; the run still owes the stop.
    """
    with locked(_lock(name)):
        others = other_runs(journal.journal, journal.run_id, name)
        owes = journal.owes_stop(name)
        handle = cloud.find_studio(name)
        if handle is not None:
            owed = ["--owes"] if owes and not others else []
            answer = _ask(handle, "leave", journal.run_id, *owed) or {}
            # A run of another computer may have passed its debt to this one, or this one its debt to one of those.
            owes = owes if others and not answer.get("stop") else answer.get("stop", owes)
            if owes and not others:
                handle.release(delete=False)
        journal.left(name, heir=others[0] if others and owes else None, stopped=owes and not others)


def is_used_by_others(journal: RunJournal, handle: StudioHandle) -> str | None:
    """Return the id of another run that uses a studio; None if there is none."""
    others = other_runs(journal.journal, journal.run_id, handle.name)
    if not others:
        others = (_ask(handle, "leave", journal.run_id, "--stay") or {}).get("others", [])
    return others[0] if others else None


def delete_environment(journal: Journal, cloud: Cloud, environment: Environment) -> bool:
    """Delete a template studio unless a run uses it; return whether it is gone.

    Raises:
        CloudError: the studio cannot be deleted.
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
    """Return the driven runs of this home, other than `run_id`, that use a studio on that run's cloud or on `cloud`."""
    if run_id is not None:
        record = journal.run(run_id)
        cloud = record.cloud if record else cloud
    return [run for run in journal.users(cloud, studio) if run != run_id and RunFolder.of(run).is_driven()]


def _ask(handle: StudioHandle, *arguments: str) -> dict[str, Any] | None:
    """Return the answer of the agent in a studio; None if there is no agent, and so no run."""
    if not handle.is_running():
        return None
    answer = read_answer(*handle.run([*agent.COMMAND, *arguments]))
    if answer is None:
        # The agent may be an earlier version, and only this version knows the other runs.
        with suppress(CloudError):
            handle.upload(AGENT_SOURCE, f"{REMOTE_HOME}/agent.py")
        answer = read_answer(*handle.run([*agent.COMMAND, *arguments]))
    return answer


def _lock(studio: str) -> str:
    return f"studio-{hashlib.sha256(studio.encode()).hexdigest()[:32]}"
