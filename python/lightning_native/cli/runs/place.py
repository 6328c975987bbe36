"""The way to a run whose controller lives on this machine or in a studio."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.cli.runs.here import RunHere
from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CredentialsError, PlanError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import cloud_environ, default_root, with_variables

if TYPE_CHECKING:
    from lightning_native.cli.runs.remote import RunElsewhere


def find_run(journal: Journal, prefix: str) -> RunRecord:
    """Return the one run of this machine's journal whose id begins with a text.

    Raises:
        PlanError: there is none, or more than one.
    """
    matches = journal.runs_like(prefix) if prefix else []
    if len(matches) != 1:
        raise _not_one(len(matches), f"in {journal.path}", prefix)
    return matches[0]


def location_of(record: RunRecord) -> ControllerLocation | None:
    """Return the place of a run's controller; None if it lives, or lived, on this machine."""
    try:
        return ControllerLocation.read(RunFolder.of(record.run_id))
    except PlanError:
        # The id is older than the check of ids, so it has no folder of ours.
        return None


@contextmanager
def reach_run(
    journal: Journal, prefix: str, *, local: bool, only_here: bool = False
) -> "Iterator[RunHere | RunElsewhere]":
    """Yield the run whose id begins with a text; this process's variables name the cloud of a run in a studio.

    A run that the journal does not have is searched for on the cloud, because another machine may have submitted it.

    Args:
        journal: this machine's journal.
        prefix: the beginning of the run's id.
        local: search on the local cloud instead of Lightning.
        only_here: do not ask any cloud.

    Raises:
        PlanError: there is no such run, or more than one.
        CredentialsError: its controller is on Lightning, and credentials are missing.
        CloudError: the cloud cannot be reached.
    """
    known = journal.runs_like(prefix) if prefix else []
    if only_here or len(known) > 1:
        yield RunHere(journal, find_run(journal, prefix))
        return
    if not known and not local:
        _check_credentials(journal, prefix)
    location = location_of(known[0]) if known else None
    if known and location is None:
        yield RunHere(journal, known[0])
        return
    from lightning_native.cli.runs.remote import RunElsewhere
    from lightning_native.engine.process.remote_controller import RemoteController, find_controllers
    from lightning_native.lightning.session import cloud_name, connect

    if location is not None:
        with cloud_of(location):
            yield RunElsewhere(RemoteController(connect(), location, known[0].run_id), journal, known[0])
        return
    with cloud_environ(default_root() if local else None):
        found = find_controllers(connect(), prefix) if prefix else []
        if len(found) != 1:
            raise _not_one(len(found), f"in {journal.path} or in the studios of {cloud_name()}", prefix)
        yield RunElsewhere(found[0], journal, None)


@contextmanager
def cloud_of(location: ControllerLocation) -> Iterator[None]:
    """Set this process's variables to those of a controller's cloud for the length of the block.

    The credentials are those of the variables, or else of the ZenML component with which the run was submitted.

    Raises:
        CredentialsError: both are missing.
    """
    if location.local_cloud:
        with cloud_environ(Path(location.local_cloud)):
            yield
        return
    try:
        Credentials.from_environment(os.environ).environ()
    except CredentialsError:
        component = location.component
        if component is None:
            raise
    else:
        yield
        return
    from lightning_native.zenml.access import component_variables

    with component_variables(component) as environ, with_variables(environ):
        yield


def _check_credentials(journal: Journal, prefix: str) -> None:
    try:
        Credentials.from_environment(os.environ).environ()
    except CredentialsError as error:
        problem = _not_one(0, f"in {journal.path}", prefix)
        raise PlanError(f"{problem}; another machine's runs on Lightning cannot be looked at: {error}") from error


def _not_one(count: int, where: str, prefix: str) -> PlanError:
    found = "no run" if not count else f"{count} runs"
    return PlanError(f"{found} {where} with an id that begins with {prefix!r}; see: lightning-native runs")
