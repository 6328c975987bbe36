"""The progress of a run as a table at the bottom of a terminal, below what its steps print."""

import os
import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lightning_native.engine.display.progress import UNDER_WAY, Phase, Progress, StepProgress
from lightning_native.terminal import clean, one_line, shows_colour
from lightning_native.units import human_dollars, human_seconds

_COLOURS: dict[Phase, str] = {
    "waiting": "dim",
    "booting": "cyan",
    "preparing": "cyan",
    "running": "yellow",
    "succeeded": "green",
    "failed": "bold red",
    "skipped": "dim",
    "stopped": "red",
}
# Lines of a terminal that are kept for the output of steps.
_LEAST_OUTPUT = 6
_WIDEST_NAME = 40
_MOST_ACTIVITIES = 3


class ProgressTable:
    """The table of one run, from its begin to `close`, which removes it."""

    def __init__(self) -> None:
        # A stream of its own, because whoever collects the output of this process must not get a table ten times a
        # second.
        self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace")
        self._console = Console(file=self._stream, no_color=not shows_colour(self._stream))
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
        )
        self._last_lines: dict[str, str] = {}
        self._live.start()

    def output(self, name: str | None, line: str) -> None:
        """Show a line above the table, with the name of what has printed it if there is one."""
        shown = clean(line, colour=not self._console.no_color)
        if name is not None:
            self._last_lines[name] = one_line(line)
        prefix = "" if name is None else f"[{clean(name)}] "
        self._console.print(Text.assemble((prefix, "dim"), Text.from_ansi(shown)), soft_wrap=True)

    def advance(self, progress: Progress) -> None:
        """Show the progress as it is now."""
        self._live.update(self._drawn(progress), refresh=True)

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()
        self._stream.close()

    def _drawn(self, progress: Progress) -> Group:
        table = Table("step", "phase", "machine", "time", "cost", "last line", box=None, pad_edge=False, expand=True)
        for column in table.columns[:-1]:
            column.no_wrap = True
        for column in table.columns[3:5]:
            column.justify = "right"
        last = table.columns[-1]
        last.ratio, last.no_wrap, last.overflow = 1, True, "ellipsis"
        table.columns[0].max_width, table.columns[0].overflow = _WIDEST_NAME, "ellipsis"
        shown = self._chosen(progress)
        for step in shown:
            table.add_row(*self._row(step))
        left_out = len(progress.steps) - len(shown)
        more = [Text(f"… and {left_out} more", style="dim")] if left_out else []
        activities = [Text(f"… {line}", "cyan", no_wrap=True, overflow="ellipsis") for line in _activities(progress)]
        return Group(table, *more, *activities, Text(_total(progress), style="bold", no_wrap=True, overflow="ellipsis"))

    def _chosen(self, progress: Progress) -> list[StepProgress]:
        """Return the steps for which there is room, in the plan's order: those under way, then those that failed."""
        room = max(3, self._console.height - _LEAST_OUTPUT - len(_activities(progress)))
        if len(progress.steps) <= room:
            return list(progress.steps)
        order = (*UNDER_WAY, "failed", "stopped", "waiting", "succeeded", "skipped")
        by_interest = sorted(range(len(progress.steps)), key=lambda index: order.index(progress.steps[index].phase))
        return [progress.steps[index] for index in sorted(by_interest[:room])]

    def _row(self, step: StepProgress) -> list[Text]:
        seconds = "" if step.seconds is None else human_seconds(step.seconds)
        dollars = "" if step.dollars is None else human_dollars(step.dollars)
        attempt = f" ({step.attempt})" if step.attempt > 1 else ""
        last = step.reason or self._last_lines.get(step.name, "")
        phase = Text(f"{step.phase}{attempt}", style=_COLOURS[step.phase])
        return [Text(one_line(step.name)), phase, *map(Text, (step.machine, seconds, dollars)), Text(one_line(last))]


def _activities(progress: Progress) -> list[str]:
    oldest = [
        f"{activity.line()}, {human_seconds(max(0.0, time.time() - activity.began))}"
        for activity in progress.activities[:_MOST_ACTIVITIES]
    ]
    left_out = len(progress.activities) - len(oldest)
    return [*map(one_line, oldest), *([f"{left_out} more like these"] if left_out else [])]


def _total(progress: Progress) -> str:
    counts = ", ".join(f"{number} {phase}" for phase, number in progress.counts().items())
    cost = "" if progress.dollars is None else f"{human_dollars(progress.dollars)} so far"
    return " · ".join(filter(None, [counts, human_seconds(progress.seconds), cost, "Ctrl-C stops or leaves it"]))
