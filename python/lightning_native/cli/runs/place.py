"""The way to a run whose controller lives on this machine or in a studio."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.cli.options.cloud import credentials_of_run
from lightning_native.cli.runs.here import RunHere
from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CredentialsError, PlanError
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.local import cloud_environ, default_root

if TYPE_CHECKING:
    from lightning_native.cli.runs.remote import RunElsewhere


# The reference of the newest run.
_NEWEST = "last"


def find_run(journal: Journal, reference: str) -> RunRecord:
    """Return the one run of this machine's journal that a reference means.

    Raises:
        PlanError: there is none, or more than one.
    """
    matches = runs_meant(journal, reference)
    if len(matches) != 1:
        raise _not_one(len(matches), f"in {journal.path}", reference)
    return matches[0]


def runs_meant(journal: Journal, reference: str) -> list[RunRecord]:
    """Return the runs of this machine's journal that a reference means.

    An id comes first, whole or its beginning; then `last`, the newest run; then a name, of which the newest run counts.
    """
    if not reference:
        return []
    if found := journal.runs_like(reference):
        return found
    return journal.runs(1) if reference == _NEWEST else journal.runs_called(reference)


def location_of(record: RunRecord) -> ControllerLocation | None:
    """Return the place of a run's controller; None if it lives, or lived, on this machine."""
    try:
        return ControllerLocation.read(RunFolder.of(record.run_id))
    except PlanError:
        # The id is older than the check of ids, so it has no folder of ours.
        return None


@contextmanager
def reach_run(
    journal: Journal, reference: str, *, local: bool, only_here: bool = False
) -> "Iterator[RunHere | RunElsewhere]":
    """Yield the run that a reference means; this process's variables name the cloud of a run in a studio.

    A run that the journal does not have is searched for on the cloud, because another machine may have submitted it.

    Args:
        journal: this machine's journal.
        reference: the run's id or the beginning of it, its name, or `last`.
        local: search on the local cloud instead of Lightning.
        only_here: do not ask any cloud.

    Raises:
        PlanError: there is no such run, or more than one.
        CredentialsError: its controller is on Lightning, and credentials are missing.
        CloudError: the cloud cannot be reached.
    """
    known = runs_meant(journal, reference)
    if only_here or len(known) > 1:
        yield RunHere(journal, find_run(journal, reference))
        return
    if not known and reference == _NEWEST:
        raise _not_one(0, f"in {journal.path}", reference)
    if not known and not local:
        _check_credentials(journal, reference)
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
        found = find_controllers(connect(), reference) if reference else []
        if len(found) != 1:
            raise _not_one(len(found), f"in {journal.path} or in the studios of {cloud_name()}", reference)
        yield RunElsewhere(found[0], journal, None)


@contextmanager
def cloud_of(location: ControllerLocation) -> Iterator[None]:
    """Set this process's variables to those of a controller's cloud for the length of the block.

    Raises:
        CredentialsError: credentials are missing.
    """
    if location.local_cloud:
        with cloud_environ(Path(location.local_cloud)):
            yield
        return
    with credentials_of_run(location.component):
        yield


def _check_credentials(journal: Journal, reference: str) -> None:
    try:
        Credentials.from_environment(os.environ).environ()
    except CredentialsError as error:
        problem = _not_one(0, f"in {journal.path}", reference)
        raise PlanError(f"{problem}. The runs of other machines are on Lightning, whose {_lower(error)}") from error


def _lower(error: CredentialsError) -> str:
    return str(error).removeprefix("Lightning ")


def _not_one(count: int, where: str, reference: str) -> PlanError:
    if reference == _NEWEST:
        return PlanError(f"there are no runs {where} yet; start one with: lightning-native demo")
    found = f"{count} runs {where} have ids that begin" if count else f"no run {where} has a name or an id that begins"
    return PlanError(f"{found} with {reference!r}; see: lightning-native runs")
