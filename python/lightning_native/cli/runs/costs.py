"""`lightning-native runs costs`: what the runs of this home have cost, by day, machine and pipeline."""

import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from lightning_native.cli.text.table import format_table
from lightning_native.engine.record.costs import RunCost, costs_since
from lightning_native.engine.record.journal import Journal
from lightning_native.units import human_dollars, human_seconds

GROUPS = ("day", "machine", "pipeline")
_DAY_SECONDS = 86400.0


class _Row(NamedTuple):
    """The costs of one group: the values of its keys, the number of its runs, its machines' seconds, and dollars."""

    keys: tuple[str, ...]
    runs: int
    seconds: float
    dollars: float


def show_costs(journal: Journal, *, days: float | None, by: Iterable[str], as_json: bool, as_csv: bool) -> int:
    """Print the costs of runs whose machines ended in the last days, or run now."""
    groups = tuple(by)
    found = costs_since(journal, 0.0 if days is None else time.time() - days * _DAY_SECONDS)
    rows = _grouped(found, groups)
    names = (*groups, "runs", "seconds", "dollars")
    values = [(*row.keys, row.runs, round(row.seconds, 3), round(row.dollars, 6)) for row in rows]
    if as_json:
        print(json.dumps([dict(zip(names, row, strict=True)) for row in values], indent=1))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(values)
    elif not rows:
        print("no run has cost anything")
    else:
        shown = [[*row.keys, str(row.runs), human_seconds(row.seconds), human_dollars(row.dollars)] for row in rows]
        runs = len({cost.run_id for cost in found})
        seconds, dollars = sum(row.seconds for row in rows), sum(row.dollars for row in rows)
        first = ["total", *[""] * (len(groups) - 1)] if groups else []
        total = [*first, str(runs), human_seconds(seconds), human_dollars(dollars)]
        width = len(groups)
        table = [[*groups, "runs", "time", "cost"], *shown, *([total] if groups else [])]
        print(format_table(table, right=(width, width + 1, width + 2)))
    return 0


def _grouped(costs: Iterable[RunCost], groups: tuple[str, ...]) -> list[_Row]:
    found: dict[tuple[str, ...], list[RunCost]] = defaultdict(list)
    for cost in costs:
        values = {
            "day": time.strftime("%Y-%m-%d", time.localtime(cost.record.began)),
            "machine": cost.record.machine,
            "pipeline": cost.run_name,
        }
        found[tuple(values[group] for group in groups)].append(cost)
    return [
        _Row(
            keys,
            len({cost.run_id for cost in several}),
            sum(cost.record.seconds() for cost in several),
            sum(cost.record.estimate() for cost in several),
        )
        for keys, several in sorted(found.items())
    ]
