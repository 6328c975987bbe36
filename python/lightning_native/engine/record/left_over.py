"""The sentence about the remains of a run at Lightning: each thing by its name, and the command that removes it."""

from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.local import default_root


def left_over(journal: Journal, run_id: str) -> str:
    """Return the sentence about a run's open leases; empty if it has none."""
    things = ", ".join(f"{lease.kind} {lease.name}" for lease in journal.leases(run_id) if lease.released is None)
    record = journal.run(run_id)
    if not things or record is None:
        return ""
    return f"{things} could not be released and may cost money; release it with: {removal(record.cloud)}"


def removal(cloud: str) -> str:
    """Return the command that releases what is left on a cloud of the journal."""
    return "lightning-native gc --local" if cloud.startswith(f"{default_root()} ") else "lightning-native gc"
