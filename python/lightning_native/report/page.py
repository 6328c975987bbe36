"""The page of one run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lightning_native.engine.record.records import Event, Lease, RunRecord, StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError
from lightning_native.report.drawings import draw_graph, draw_times

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_TAIL_BYTES = 16 * 1024
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --faint: #6b7280; --line: #d7dbe0; --box: #f4f5f7;
  --succeeded: #2f9e5b; --failed: #d64545; --running: #2b7de1; --stopped: #b7791f; --waiting: #9aa2ad; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --ink: #e6e8eb; --faint: #99a1ad; --line: #343a43;
  --box: #1d2127; --succeeded: #46b877; --failed: #ef6a6a; --running: #5b9df0; --stopped: #d9a648;
  --waiting: #5d6672; } }
body { margin: 2rem auto; max-width: 68rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
.faint { color: var(--faint); } .drawing { overflow-x: auto; } svg text { font-size: 12px; fill: var(--ink); }
svg .label { fill: var(--faint); } svg .in-box { fill: #fff; } .edge { fill: none; stroke: var(--waiting); }
.tick { stroke: var(--line); } .succeeded { --state: var(--succeeded); } .failed { --state: var(--failed); }
.running, .preparing { --state: var(--running); } .stopped { --state: var(--stopped); }
.pending, .skipped { --state: var(--waiting); } .completed { --state: var(--succeeded); }
svg rect { fill: var(--state); } .mark { color: var(--state); font-weight: 600; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--box); padding: .7rem; overflow-x: auto; white-space: pre-wrap; word-break: break-word; }
summary { cursor: pointer; }
"""


@dataclass(frozen=True)
class RunReport:
    """The content of a run's page.

    Attributes:
        run: the run's record.
        steps: the records of its steps, in the plan's order.
        upstream: the upstream steps of each step; empty if the plan is gone.
        leases: the run's leases, released ones too.
        events: its events, oldest first.
        logs: the end of each step's output, by step and attempt.
    """

    run: RunRecord
    steps: Sequence[StepRecord]
    upstream: Mapping[str, Sequence[str]]
    leases: Sequence[Lease]
    events: Sequence[Event]
    logs: Mapping[str, str]


def read_report(
    run: RunRecord, steps: Sequence[StepRecord], leases: Sequence[Lease], events: Sequence[Event]
) -> RunReport:
    """Return the report of a run with these records, and with the plan and logs that this machine has."""
    folder = RunFolder.of(run.run_id)
    try:
        upstream = {step.name: step.upstream for step in folder.plan().steps}
    except PlanError:
        upstream = {}
    logs = {}
    for step in steps:
        for attempt in range(1, step.attempt + 1):
            path = folder.log(step.name, attempt)
            if path.exists():
                logs[step.name if step.attempt == 1 else f"{step.name}, attempt {attempt}"] = _tail(path)
    return RunReport(run, steps, upstream, leases, events, logs)


def render(report: RunReport) -> str:
    """Return the page. Every text of the run is escaped."""
    run = report.run
    ended = run.ended or time.time()
    sections = [
        f"<h1>{escape(run.name)} <span class='mark {escape(run.state)}'>{escape(run.state)}</span></h1>",
        (
            f"<p class='faint'>run {escape(run.run_id)} on {escape(run.cloud)}, begun {_moment(run.started)}, "
            f"{ended - run.started:.1f} s{_cost(report)}</p>"
        ),
        f"<p>{escape(run.message)}</p>" if run.message else "",
        f"<h2>Steps</h2>{draw_graph(report.upstream, report.steps)}" if report.upstream else "",
        _table(report.steps),
        f"<h2>Time</h2>{draw_times(report.steps, run.started, ended)}" if report.steps else "",
        _logs(report.logs),
        _happened(report.events),
        _held(report.leases),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta http-equiv='Content-Security-Policy' content=\"{_POLICY}\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(run.name)}</title><style>{_STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _cost(report: RunReport) -> str:
    costs = [step.cost for step in report.steps if step.cost is not None]
    return f", ${sum(costs):.4f} for {len(costs)} of {len(report.steps)} steps" if costs else ""


def _table(steps: Sequence[StepRecord]) -> str:
    rows = [
        (
            "<tr><th>step</th><th>state</th><th>where</th><th>machine</th><th>attempts</th><th>seconds</th>"
            "<th>cost</th><th></th></tr>"
        )
    ]
    for step in steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f}"
        cost = "" if step.cost is None else f"${step.cost:.4f}"
        rows.append(
            f"<tr><td>{escape(step.name)}</td><td class='mark {escape(step.state)}'>{escape(step.state)}</td>"
            f"<td>{escape(step.place or '')}</td><td>{escape(step.machine or '')}</td>"
            f"<td class='number'>{step.attempt}</td><td class='number'>{seconds}</td><td class='number'>{cost}</td>"
            f"<td>{escape(step.message)}</td></tr>"
        )
    return f"<table id='steps'>{''.join(rows)}</table>"


def _logs(logs: Mapping[str, str]) -> str:
    shown = [
        f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>" for name, text in logs.items()
    ]
    return f"<h2>Output</h2>{''.join(shown)}" if shown else ""


def _happened(events: Sequence[Event]) -> str:
    rows = [
        f"<tr><td class='faint'>{_moment(event.at)}</td><td>{escape(event.step or '')}</td>"
        f"<td>{escape(event.text)}</td></tr>"
        for event in events
    ]
    return f"<h2>What happened</h2><table>{''.join(rows)}</table>" if rows else ""


def _held(leases: Sequence[Lease]) -> str:
    rows = [
        f"<tr><td>{escape(lease.kind)}</td><td>{escape(lease.name)}</td>"
        f"<td>{'released' if lease.released else '<b>not released</b>'}</td></tr>"
        for lease in leases
    ]
    return f"<h2>What it held</h2><table>{''.join(rows)}</table>" if rows else ""


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _tail(path: Path) -> str:
    with path.open("rb") as log:
        size = path.stat().st_size
        log.seek(max(0, size - _TAIL_BYTES))
        text = log.read().decode(errors="replace")
    return text if size <= _TAIL_BYTES else f"[the last {_TAIL_BYTES // 1024} KB of {size} bytes]\n{text}"
