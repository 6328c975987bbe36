"""The end of a run in a few lines: what succeeded, where time and money went, what failed, and what to do next."""

from collections.abc import Iterator

from lightning_native.engine.display.progress import Progress, StepProgress, read_progress
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.terminal import one_line
from lightning_native.units import human_dollars, human_seconds

# Of the failed steps that are named; `runs show` has all.
_MOST_FAILURES = 5


def summary_of(journal: Journal, run_id: str) -> str:
    """Return the summary of a run."""
    return "\n".join(_lines(journal, run_id))


def _lines(journal: Journal, run_id: str) -> Iterator[str]:
    progress, cost = read_progress(journal, run_id), CostSummary.of(journal, run_id)
    counted = ", ".join(f"{number} {phase}" for phase, number in progress.counts().items())
    yield f"steps: {counted or 'none'}, in {human_seconds(progress.seconds)}{_longest(progress)}"
    if cost is not None:
        parts = ", ".join(f"{part} {human_dollars(dollars)}" for part, dollars in cost.parts.items())
        yield f"cost: {human_dollars(cost.dollars)}{f' ({parts})' if parts else ''}"
    failed = [step for step in progress.steps if step.phase == "failed"]
    for step in failed[:_MOST_FAILURES]:
        yield f"failed: {one_line(step.name)}: {one_line(step.reason) or 'no reason is known'}"
    if len(failed) > _MOST_FAILURES:
        yield f"and {len(failed) - _MOST_FAILURES} more failed"
    short = run_id[:12]
    again = f"; what did not succeed again: lightning-native runs retry {short}" if failed else ""
    yield f"see it: lightning-native runs show {short}{again}"


def _longest(progress: Progress) -> str:
    def seconds(step: StepProgress) -> float:
        return step.seconds or 0.0

    if len(progress.steps) < 2:
        return ""
    longest = max(progress.steps, key=seconds)
    return (
        f"; the longest was {one_line(longest.name)} with {human_seconds(seconds(longest))}" if longest.seconds else ""
    )
