"""The requests to stop a run that come through ZenML, from any machine that reaches it."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus, MetadataResourceTypes
from zenml.models import RunMetadataResource

from lightning_native.engine.record.run_folder import RunFolder

_CHECK_SECONDS = 2.0
# The run's metadata has it where its steps are to end at once.
_FORCED = "lightning_native_forced_stop"


def request_forced_stop(pipeline_run: UUID) -> None:
    """Ask the controller of a run that is being stopped, on whatever machine, to stop its steps at once."""
    resource = RunMetadataResource(id=pipeline_run, type=MetadataResourceTypes.PIPELINE_RUN)
    Client().create_run_metadata(metadata={_FORCED: True}, resources=[resource])


def requested_stop(pipeline_run: UUID) -> Literal["no", "graceful", "forced"]:
    """Return whether a stop of a run is requested in ZenML, and which kind."""
    status = Client().get_pipeline_run(pipeline_run, hydrate=False).status
    if status not in (ExecutionStatus.STOPPING, ExecutionStatus.STOPPED):
        return "no"
    return "forced" if Client().get_pipeline_run(pipeline_run).run_metadata.get(_FORCED) else "graceful"


def watch_for_stop(pipeline_run: UUID, folder: RunFolder) -> None:
    """Pass the requests on to the controller of the run's folder, until one is to stop it at once."""
    for requested in _requests(pipeline_run):
        folder.request_stop(graceful=requested == "graceful")
        if requested == "forced":
            return


def wait_for_stop(pipeline_run: UUID) -> None:
    """Wait until a stop of either kind is requested."""
    next(_requests(pipeline_run))


def _requests(pipeline_run: UUID) -> Iterator[Literal["graceful", "forced"]]:
    """Check now and then for a request, and yield each that is found, for as long as this process lives."""
    never = threading.Event()
    while True:
        requested: Literal["no", "graceful", "forced"] = "no"
        # A ZenML that does not answer has requested nothing.
        with suppress(Exception):
            requested = requested_stop(pipeline_run)
        if requested != "no":
            yield requested
        never.wait(_CHECK_SECONDS)
