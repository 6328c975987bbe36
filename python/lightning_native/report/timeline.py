"""The times of a run as SVG: a row for each machine, with its boot, preparation, commands and idle time."""

from collections.abc import Iterator, Sequence
from html import escape

from lightning_native.engine.record.costs import CostPart
from lightning_native.engine.record.records import StepRecord
from lightning_native.report.content import Machine
from lightning_native.report.marks import anchor, shortened, svg
from lightning_native.units import human_seconds

_ROW_HEIGHT, _CHART_WIDTH, _NAME_WIDTH = 24, 640, 190
_TICKS = 5
# Of the rows that are drawn; the table of costs has all machines.
MOST_ROWS = 200
_BEFORE_COMMANDS: tuple[CostPart, ...] = ("boot", "preparation")


def draw_times(steps: Sequence[StepRecord], machines: Sequence[Machine], begun: float, ended: float) -> str:
    """Draw a row for each machine, or for each step where no machines are known, from the run's begin to its end."""
    length = max(ended - begun, 0.001)
    scale = _CHART_WIDTH / length
    rows = list(_rows(steps, machines, ended))[:MOST_ROWS]
    height = len(rows) * _ROW_HEIGHT
    drawn = []
    for tick in range(_TICKS + 1):
        x = _NAME_WIDTH + tick * _CHART_WIDTH / _TICKS
        drawn.append(f'<line class="tick" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height}"/>')
        label = human_seconds(tick * length / _TICKS)
        drawn.append(f'<text class="label" x="{x:.1f}" y="{height + 16}" text-anchor="middle">{label}</text>')
    for number, (name, bars) in enumerate(rows):
        y = number * _ROW_HEIGHT
        drawn.append(f'<text x="0" y="{y + 16}">{shortened(name, 26)}<title>{escape(name)}</title></text>')
        drawn += [_bar(bar, y, begun, scale) for bar in bars]
    return svg("when the machines worked", _NAME_WIDTH + _CHART_WIDTH + 40, height + 22, drawn)


# The class of a bar, its begin and end, its title, and the step that it links to.
_Bar = tuple[str, float, float, str, str]


def _rows(steps: Sequence[StepRecord], machines: Sequence[Machine], ended: float) -> Iterator[tuple[str, list[_Bar]]]:
    placed: set[str] = set()
    for machine in machines:
        cost = machine.cost
        own = [step for step in steps if step.place == cost.name]
        placed.update(step.name for step in own)
        bars = list(_phases(machine, ended)) + [bar for step in own for bar in _of_step(step, ended)]
        label = own[0].name if len(own) == 1 else cost.name
        yield f"{label} · {cost.machine}", bars
    for step in steps:
        if step.name not in placed and step.started is not None:
            yield step.name, list(_of_step(step, ended))


def _phases(machine: Machine, ended: float) -> Iterator[_Bar]:
    """Yield the bars of a machine: each part before the commands is as long as its share of the cost."""
    cost = machine.cost
    at, end = cost.began, cost.ended or ended
    yield ("idle", at, end, f"{cost.name} on {cost.machine}: {human_seconds(end - at)}", "")
    total = sum(machine.parts.values())
    for part in _BEFORE_COMMANDS:
        if total > 0 and (share := machine.parts.get(part, 0.0) / total) > 0:
            seconds = share * (end - cost.began)
            yield (part, at, at + seconds, f"{part}: {human_seconds(seconds)}", "")
            at += seconds


def _of_step(step: StepRecord, ended: float) -> Iterator[_Bar]:
    if step.started is not None:
        end = step.ended or ended
        attempts = f", {step.attempt} attempts" if step.attempt > 1 else ""
        title = f"{step.name}: {step.state} after {human_seconds(end - step.started)}{attempts}"
        yield (step.state, step.started, end, title, step.name)


def _bar(bar: _Bar, y: float, begun: float, scale: float) -> str:
    kind, begin, end, title, step = bar
    x, width = _NAME_WIDTH + max(begin - begun, 0) * scale, max((end - max(begin, begun)) * scale, 2)
    rect = (
        f'<rect class="{kind}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW_HEIGHT - 8}" rx="3">'
        f"<title>{escape(title)}</title></rect>"
    )
    return f'<a href="#{anchor(step)}">{rect}</a>' if step else rect
