"""The log of a controller on Lightning, kept beside ZenML's artifacts when its studio goes."""

from collections.abc import Callable

from zenml.client import Client
from zenml.io import fileio


def log_keeper(run_id: str) -> Callable[[bytes], None]:
    """Find the place for a controller's log in the artifact store of the active stack; return what keeps it there."""
    uri = _uri(run_id)

    def keep(log: bytes) -> None:
        fileio.makedirs(uri.rpartition("/")[0])
        with fileio.open(uri, "wb") as stream:
            stream.write(log)

    return keep


def kept_log(run_id: str) -> str | None:
    """Return what a controller printed, None if it was not kept."""
    uri = _uri(run_id)
    if not fileio.exists(uri):
        return None
    with fileio.open(uri, "rb") as stream:
        return str(stream.read().decode(errors="replace"))


def _uri(run_id: str) -> str:
    return f"{Client().active_stack.artifact_store.path}/lightning_native/{run_id}.log"
