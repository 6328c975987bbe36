"""The log of a controller on Lightning, kept beside ZenML's artifacts when its studio goes."""

from zenml.client import Client
from zenml.io import fileio


def keep_log(run_id: str, log: bytes) -> None:
    """Keep a controller's log in the artifact store of the active stack."""
    folder = f"{Client().active_stack.artifact_store.path}/lightning_native"
    fileio.makedirs(folder)
    with fileio.open(_uri(run_id), "wb") as stream:
        stream.write(log)


def kept_log(run_id: str) -> str | None:
    """Return what a controller printed, None if it was not kept."""
    if not fileio.exists(_uri(run_id)):
        return None
    with fileio.open(_uri(run_id), "rb") as stream:
        return str(stream.read().decode(errors="replace"))


def _uri(run_id: str) -> str:
    return f"{Client().active_stack.artifact_store.path}/lightning_native/{run_id}.log"
