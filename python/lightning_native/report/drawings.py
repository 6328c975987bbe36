"""Two drawings of a run as SVG: its graph, and the times of its steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from lightning_native import Dag
from lightning_native.engine.record.records import StepRecord

_BOX_WIDTH, _BOX_HEIGHT = 150, 34
_GAP_ACROSS, _GAP_DOWN = 56, 14
_LONGEST_NAME = 19
_ROW_HEIGHT, _CHART_WIDTH, _NAME_WIDTH = 24, 640, 190
_TICKS = 5


@dataclass(frozen=True)
class _Box:
    x: float
    y: float

    @property
    def middle(self) -> float:
        return self.y + _BOX_HEIGHT / 2


def draw_graph(upstream: Mapping[str, Sequence[str]], steps: Sequence[StepRecord]) -> str:
    """Draw each step as a box, coloured by its state, to the right of its upstream steps."""
    states = {step.name: step.state for step in steps}
    columns = Dag(upstream).generations()
    tallest = max((len(column) for column in columns), default=0)
    boxes: dict[str, _Box] = {}
    for number, column in enumerate(columns):
        above = (tallest - len(column)) * (_BOX_HEIGHT + _GAP_DOWN) / 2
        for row, name in enumerate(column):
            boxes[name] = _Box(number * (_BOX_WIDTH + _GAP_ACROSS), above + row * (_BOX_HEIGHT + _GAP_DOWN))
    width = max(len(columns) * (_BOX_WIDTH + _GAP_ACROSS) - _GAP_ACROSS, 1)
    height = max(tallest * (_BOX_HEIGHT + _GAP_DOWN) - _GAP_DOWN, 1)
    lines = [_edge(boxes[other], box) for name, box in boxes.items() for other in upstream[name]]
    drawn = [_node(name, states.get(name, "pending"), box) for name, box in boxes.items()]
    return _svg("graph of the steps", width, height, lines + drawn)


def draw_times(steps: Sequence[StepRecord], begun: float, ended: float) -> str:
    """Draw a bar for each step, from the start to the end of its command."""
    length = max(ended - begun, 0.001)
    scale = _CHART_WIDTH / length
    height = len(steps) * _ROW_HEIGHT
    drawn = []
    for tick in range(_TICKS + 1):
        x = _NAME_WIDTH + tick * _CHART_WIDTH / _TICKS
        drawn.append(f'<line class="tick" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height}"/>')
        label = f"{tick * length / _TICKS:.{1 if length < 60 else 0}f} s"
        drawn.append(f'<text class="label" x="{x:.1f}" y="{height + 16}" text-anchor="middle">{label}</text>')
    for row, step in enumerate(steps):
        y = row * _ROW_HEIGHT
        drawn.append(f'<text x="0" y="{y + 16}">{_shortened(step.name)}<title>{escape(step.name)}</title></text>')
        if step.started is not None:
            x = _NAME_WIDTH + max(step.started - begun, 0) * scale
            width = max(((step.ended or ended) - step.started) * scale, 2)
            title = f"{escape(step.name)}: {(step.ended or ended) - step.started:.1f} s"
            drawn.append(
                f'<rect class="{step.state}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW_HEIGHT - 8}" '
                f'rx="3"><title>{title}</title></rect>'
            )
    return _svg("when the steps ran", _NAME_WIDTH + _CHART_WIDTH + 30, height + 22, drawn)


def _edge(start: _Box, end: _Box) -> str:
    from_x, to_x = start.x + _BOX_WIDTH, end.x
    bend = (from_x + to_x) / 2
    begin, control = f"M{from_x:.0f} {start.middle:.0f}", f"C{bend:.0f} {start.middle:.0f} {bend:.0f} {end.middle:.0f}"
    return f'<path class="edge" d="{begin} {control} {to_x:.0f} {end.middle:.0f}"/>'


def _node(name: str, state: str, box: _Box) -> str:
    return (
        f'<g><title>{escape(name)}: {escape(state)}</title><rect class="{escape(state)}" x="{box.x:.0f}" '
        f'y="{box.y:.0f}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6"/><text class="in-box" '
        f'x="{box.x + _BOX_WIDTH / 2:.0f}" y="{box.middle + 4:.0f}" text-anchor="middle">{_shortened(name)}</text></g>'
    )


def _shortened(name: str) -> str:
    return escape(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…")


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<div class="drawing"><svg role="img" aria-label="{title}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}">{"".join(parts)}</svg></div>'
    )
