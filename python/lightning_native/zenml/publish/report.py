"""The page about a run, kept beside ZenML's artifacts, where everybody who sees the run in ZenML finds it."""

from zenml.client import Client
from zenml.io import fileio

from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.report import read_report, render


def keep_report(journal: Journal, run_id: str) -> str | None:
    """Write the page about a run to the artifact store of the active stack, and return its URI; None without a run."""
    run = journal.run(run_id)
    if run is None:
        return None
    records = journal.steps(run_id), journal.leases(run_id), journal.events(run_id)
    page = render(read_report(run, *records, CostSummary.of(journal, run_id)))
    folder = f"{Client().active_stack.artifact_store.path}/lightning_native"
    fileio.makedirs(folder)
    uri = f"{folder}/{run_id}.html"
    with fileio.open(uri, "wb") as stream:
        stream.write(page.encode())
    return uri
