"""The graph of a run's steps as SVG; steps that differ by their names only share a box, so that it stays readable."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from lightning_native import Dag
from lightning_native.engine.record.records import StepRecord
from lightning_native.report.marks import anchor, shortened, svg

_BOX_WIDTH, _BOX_HEIGHT = 150, 34
_GAP_ACROSS, _GAP_DOWN = 56, 14
# So many steps with the same upstream and downstream steps are drawn one by one.
_MOST_ALIKE = 6
# The state of a box for several steps is the first of these that any of them has.
_STATES = ("failed", "stopped", "running", "preparing", "pending", "skipped", "succeeded")


@dataclass(frozen=True)
class _Box:
    steps: tuple[str, ...]
    x: float
    y: float

    @property
    def middle(self) -> float:
        return self.y + _BOX_HEIGHT / 2


def draw_graph(upstream: Mapping[str, Sequence[str]], steps: Sequence[StepRecord]) -> str:
    """Draw boxes, coloured by state and linked to the steps' rows, each to the right of its upstream steps."""
    states = {step.name: step.state for step in steps}
    alike = _alike(upstream)
    columns = [list(dict.fromkeys(alike[name] for name in generation)) for generation in Dag(upstream).generations()]
    tallest = max((len(column) for column in columns), default=0)
    box_of: dict[str, _Box] = {}
    boxes = []
    for number, column in enumerate(columns):
        above = (tallest - len(column)) * (_BOX_HEIGHT + _GAP_DOWN) / 2
        for row, group in enumerate(column):
            box = _Box(group, number * (_BOX_WIDTH + _GAP_ACROSS), above + row * (_BOX_HEIGHT + _GAP_DOWN))
            boxes.append(box)
            box_of.update(dict.fromkeys(group, box))
    pairs = dict.fromkeys((box_of[other], box) for box in boxes for name in box.steps for other in upstream[name])
    width = max(len(columns) * (_BOX_WIDTH + _GAP_ACROSS) - _GAP_ACROSS, 1)
    height = max(tallest * (_BOX_HEIGHT + _GAP_DOWN) - _GAP_DOWN, 1)
    drawn = [_edge(*pair) for pair in pairs] + [_node(box, states) for box in boxes]
    return svg("graph of the steps", width, height, drawn)


def _alike(upstream: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the steps that share the box of each step: those with the same upstream and downstream steps, if many."""
    downstream: dict[str, set[str]] = {name: set() for name in upstream}
    for name, others in upstream.items():
        for other in others:
            downstream[other].add(name)
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = defaultdict(list)
    for name, others in upstream.items():
        groups[frozenset(others), frozenset(downstream[name])].append(name)
    shared: dict[str, tuple[str, ...]] = {}
    for group in groups.values():
        for name in group:
            shared[name] = tuple(group) if len(group) > _MOST_ALIKE else (name,)
    return shared


def _edge(start: _Box, end: _Box) -> str:
    from_x, to_x = start.x + _BOX_WIDTH, end.x
    bend = (from_x + to_x) / 2
    begin, control = f"M{from_x:.0f} {start.middle:.0f}", f"C{bend:.0f} {start.middle:.0f} {bend:.0f} {end.middle:.0f}"
    return f'<path class="edge" d="{begin} {control} {to_x:.0f} {end.middle:.0f}"/>'


def _node(box: _Box, states: Mapping[str, str]) -> str:
    counts = Counter(states.get(name, "pending") for name in box.steps)
    state = next(state for state in _STATES if counts[state])
    first = next(name for name in box.steps if states.get(name, "pending") == state)
    if len(box.steps) == 1:
        label, title = shortened(first), f"{first}: {state}"
    else:
        label = f"{shortened(box.steps[0], 10)} &times; {len(box.steps)}"
        title = f"{len(box.steps)} steps such as {box.steps[0]}: " + ", ".join(f"{n} {s}" for s, n in counts.items())
    return (
        f'<a href="#{anchor(first)}"><title>{escape(title)}</title><rect class="{state}" x="{box.x:.0f}" '
        f'y="{box.y:.0f}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6"/><text class="in-box" '
        f'x="{box.x + _BOX_WIDTH / 2:.0f}" y="{box.middle + 4:.0f}" text-anchor="middle">{label}</text></a>'
    )
