"""The page of one run: its outcome first, then its steps, times, costs, and what it printed and left."""

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from lightning_native.engine.record.costs import COST_PARTS
from lightning_native.engine.record.records import StepRecord, StepState
from lightning_native.report.content import RunReport
from lightning_native.report.graph import draw_graph
from lightning_native.report.marks import anchor, marked
from lightning_native.report.style import SCRIPT, STYLE
from lightning_native.report.timeline import MOST_ROWS, draw_times
from lightning_native.units import human_dollars, human_seconds, human_time

# Only our script runs, whatever a run has printed.
_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; img-src data:"
_FAILURE_LINES = 25
# Of the failures that are open on top.
_MOST_FAILURES = 5
_ORDER: tuple[StepState, ...] = ("failed", "stopped", "running", "preparing", "pending", "succeeded", "skipped")


def render(report: RunReport) -> str:
    """Return the page. Every text of the run is escaped."""
    run = report.run
    ended = run.ended or time.time()
    sections = [
        _header(report, ended),
        _failures(report),
        f"<h2>Steps</h2>{draw_graph(report.upstream, report.steps)}" if report.upstream else "",
        _steps(report.steps),
        _times(report, ended),
        _costs(report),
        _left(report),
        _output(report),
        _happened(report),
        _held(report),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta http-equiv='Content-Security-Policy' content=\"{_POLICY}\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(run.name)}</title><style>{STYLE}</style></head><body>{''.join(sections)}"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _header(report: RunReport, ended: float) -> str:
    run = report.run
    counts = Counter(step.state for step in report.steps)
    counted = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
    facts = [
        f"{len(report.steps)} steps: {counted}" if report.steps else "",
        human_seconds(ended - run.started),
        str(report.cost) if report.cost else "",
    ]
    where = f"run {run.run_id} on {run.cloud}, begun {human_time(run.started)}"
    return (
        f"<h1>{escape(run.name)} {marked(run.state)}</h1><p>{escape(' · '.join(filter(None, facts)))}<br>"
        f"<span class='faint'>{escape(where)}</span></p>" + (f"<p>{escape(run.message)}</p>" if run.message else "")
    )


def _failures(report: RunReport) -> str:
    """Return the failed steps with their reasons and the ends of their output, open on top."""
    failed = [step for step in report.steps if step.state == "failed"]
    shown = []
    for step in failed[:_MOST_FAILURES]:
        lines = report.logs.get((step.name, step.attempt), "").rstrip().splitlines()[-_FAILURE_LINES:]
        ends = f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""
        whole = f"<a href='#{anchor(step.name, 'output')}'>all of its output</a>" if lines else ""
        reason = f"<p>{escape(step.message)}</p>" if step.message else ""
        title = f"<h3><a href='#{anchor(step.name)}'>{escape(step.name)}</a> {marked(step.state)}</h3>"
        shown.append(f"<div class='failure'>{title}{reason}{ends}{whole}</div>")
    more = (
        f"<p><a href='#steps'>{len(failed) - _MOST_FAILURES} more failed</a></p>"
        if len(failed) > _MOST_FAILURES
        else ""
    )
    return f"<h2>What failed</h2>{''.join(shown)}{more}" if shown else ""


def _table(head: Sequence[str], rows: Iterable[str], *, name: str = "", numbers: Iterable[str] = ()) -> str:
    right = set(numbers)
    cells = "".join(f"<th scope='col'{' class=number' if each in right else ''}>{each}</th>" for each in head)
    named = f" id='{name}'" if name else ""
    return (
        f"<div class='wide'><table{named}><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _steps(steps: Sequence[StepRecord]) -> str:
    """Return the table of steps, the failed ones first."""
    rows = []
    for step in sorted(steps, key=lambda step: _ORDER.index(step.state)):
        seconds = "" if step.seconds is None else human_seconds(step.seconds)
        cost = "" if step.cost is None else human_dollars(step.cost)
        rows.append(
            f"<tr id='{anchor(step.name)}'><td><a href='#{anchor(step.name, 'output')}'>{escape(step.name)}</a></td>"
            f"<td>{marked(step.state)}</td><td>{escape(step.machine or '')}</td><td class='number'>{step.attempt}</td>"
            f"<td class='number'>{seconds}</td><td class='number'>{cost}</td><td>{escape(step.message)}</td></tr>"
        )
    head = ("step", "state", "machine", "attempts", "time", "cost", "reason")
    search = "<input id='search' type='search' placeholder='search the steps' aria-label='search the steps'>"
    return search + _table(head, rows, name="steps", numbers=("attempts", "time", "cost"))


def _times(report: RunReport, ended: float) -> str:
    if not report.steps:
        return ""
    kinds = ("boot", "preparation", "succeeded", "failed", "idle")
    legend = "".join(f"<span class='key {kind}'>{kind}</span>" for kind in kinds)
    more = f"<p class='faint'>the first {MOST_ROWS} machines</p>" if len(report.machines) > MOST_ROWS else ""
    drawn = draw_times(report.steps, report.machines, report.run.started, ended)
    return f"<h2>Time</h2><p class='faint'>{legend}</p>{drawn}{more}"


def _costs(report: RunReport) -> str:
    """Return the table of machines with the parts of their costs; its sums are the run's cost."""
    if not report.machines:
        return ""
    rows: list[str] = []
    sums: dict[str, float] = dict.fromkeys((*COST_PARTS, "total"), 0.0)
    for machine in report.machines:
        cost, total = machine.cost, machine.cost.estimate()
        parts = {part: machine.parts.get(part, 0.0) for part in COST_PARTS}
        for part in COST_PARTS:
            sums[part] += parts[part]
        sums["total"] += total
        cells = "".join(f"<td class='number'>{human_dollars(parts[part])}</td>" for part in COST_PARTS)
        rows.append(
            f"<tr><td>{escape(cost.name)}</td><td>{escape(cost.machine)}</td><td>{escape(cost.step or 'several')}</td>"
            f"<td class='number'>{human_seconds(cost.seconds())}</td>{cells}"
            f"<td class='number'>{human_dollars(total)}</td></tr>"
        )
    cells = "".join(f"<td class='number'>{human_dollars(sums[part])}</td>" for part in sums)
    rows.append(f"<tr class='total'><td colspan='4'>all machines</td>{cells}</tr>")
    head = ("studio or job", "machine", "step", "billed", *COST_PARTS, "cost")
    return f"<h2>Cost</h2>{_table(head, rows, numbers=('billed', *COST_PARTS, 'cost'))}"


def _left(report: RunReport) -> str:
    pictures = "".join(
        f"<figure><img src='{each.picture}' alt='{escape(each.name)} of {escape(each.step)}'>"
        f"<figcaption>{escape(each.step)}: {escape(each.name)}</figcaption></figure>"
        for each in report.left
        if each.picture
    )
    rows = [
        f"<tr><td>{escape(each.step)}</td><td>{escape(each.name)}</td><td>{escape(name)}</td>"
        f"<td class='number'>{value:g}</td></tr>"
        for each in report.left
        for name, value in each.numbers.items()
    ]
    table = _table(("step", "file", "metric", "value"), rows, numbers=("value",)) if rows else ""
    return f"<h2>What the steps left</h2>{table}{pictures}" if pictures or table else ""


def _output(report: RunReport) -> str:
    newest = {step.name: step.attempt for step in report.steps}
    shown = []
    for (name, attempt), text in report.logs.items():
        which = f", attempt {attempt}" if newest.get(name, 1) > 1 else ""
        place = f" id='{anchor(name, 'output')}'" if attempt == newest.get(name) else ""
        shown.append(f"<details{place}><summary>{escape(name)}{which}</summary><pre>{escape(text)}</pre></details>")
    return f"<h2>Output</h2>{''.join(shown)}" if shown else ""


def _happened(report: RunReport) -> str:
    rows = [
        f"<tr><td class='faint'>{human_time(event.at)}</td><td>{escape(event.step or '')}</td>"
        f"<td>{escape(event.text)}</td></tr>"
        for event in report.events
    ]
    return f"<h2>What happened</h2>{_table(('time', 'step', 'event'), rows)}" if rows else ""


def _held(report: RunReport) -> str:
    rows = [
        f"<tr><td>{escape(lease.kind)}</td><td>{escape(lease.name)}</td>"
        f"<td>{'released' if lease.released else '<b>not released</b>'}</td></tr>"
        for lease in sorted(report.leases, key=lambda lease: lease.released is not None)
    ]
    if not rows:
        return ""
    is_open = " open" if any(lease.released is None for lease in report.leases) else ""
    table = _table(("kind", "name", "state"), rows)
    return f"<h2>What it held</h2><details{is_open}><summary>{len(rows)} in all</summary>{table}</details>"
