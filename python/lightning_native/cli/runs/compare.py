"""`lightning-native runs compare`: two runs side by side, step by step."""

import json
from collections.abc import Sequence

from lightning_native.cli.runs.view import RunView
from lightning_native.cli.text.table import format_table
from lightning_native.engine.record.records import StepRecord
from lightning_native.units import human_dollars, human_seconds, human_time


def compare(first: RunView, second: RunView, *, as_json: bool) -> int:
    """Print state, machine, time and cost of each step in both runs, and the totals."""
    steps = [{step.name: step for step in view.steps} for view in (first, second)]
    names = list(dict.fromkeys([*steps[0], *steps[1]]))
    pairs = [(name, steps[0].get(name), steps[1].get(name)) for name in names]
    if as_json:
        print(
            json.dumps({"runs": [_run(first), _run(second)], "steps": [_described(*pair) for pair in pairs]}, indent=1)
        )
        return 0
    header = ["step", "state", "", "machine", "", "time", "", "change", "cost", ""]
    rows = [_row(*pair) for pair in pairs]
    print(f"{_title('first', first)}\n{_title('second', second)}")
    print(format_table([header, *rows, _total(first, second)], right=(5, 6, 7, 8, 9)))
    return 0


def _title(which: str, view: RunView) -> str:
    run = view.run
    return f"{which:6}  {run.run_id[:12]}  {run.state:9}  {human_time(run.started)}  {run.name}"


def _row(name: str, first: StepRecord | None, second: StepRecord | None) -> list[str]:
    both = (first, second)
    return [
        name,
        *("-" if step is None else step.state for step in both),
        *_once([(step.machine or "") if step else "" for step in both]),
        *_times([step.seconds if step else None for step in both]),
        *("" if step is None or step.cost is None else human_dollars(step.cost) for step in both),
    ]


def _once(values: Sequence[str]) -> list[str]:
    """Return two values, the second one empty where nothing differs."""
    return [values[0], "" if values[0] == values[1] else f"→ {values[1] or '-'}"]


def _times(seconds: Sequence[float | None]) -> list[str]:
    shown = ["" if each is None else human_seconds(each) for each in seconds]
    first, second = seconds
    return [*shown, f"{(second - first) / first:+.0%}" if first and second is not None else ""]


def _seconds(view: RunView) -> float | None:
    return None if view.run.ended is None else view.run.ended - view.run.started


def _total(first: RunView, second: RunView) -> list[str]:
    views = (first, second)
    costs = ["" if view.cost is None else human_dollars(view.cost.dollars) for view in views]
    return ["run", *(view.run.state for view in views), "", "", *_times([_seconds(view) for view in views]), *costs]


def _run(view: RunView) -> dict[str, object]:
    dollars = view.cost.dollars if view.cost else None
    run = view.run
    return {"run_id": run.run_id, "name": run.name, "state": run.state, "seconds": _seconds(view), "dollars": dollars}


def _described(name: str, *steps: StepRecord | None) -> dict[str, object]:
    def step(record: StepRecord | None) -> dict[str, object] | None:
        if record is None:
            return None
        return {"state": record.state, "machine": record.machine, "seconds": record.seconds, "dollars": record.cost}

    return {"step": name, "first": step(steps[0]), "second": step(steps[1])}
