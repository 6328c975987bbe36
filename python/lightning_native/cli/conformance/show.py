"""Plans, checks and reports of the conformance suite as text for people, and as JSON."""

import json
from typing import Any

from lightning_native.cli.text.table import format_table
from lightning_native.conformance.plan import Plan, cost_of
from lightning_native.units import human_seconds

# The most characters of what was seen; the report has all of them.
_WIDTH = 100


def print_list(plan: Plan, *, as_json: bool) -> None:
    """Print the checks of a plan with their assumptions."""
    if as_json:
        checks = [
            {"id": check.id, "topic": check.topic, "assumption": check.assumption, "expected": check.expected}
            for check in plan.checks
        ]
        print(json.dumps(checks, indent=1))
        return
    print(format_table([[check.id, check.topic, check.assumption] for check in plan.checks]))


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        experiments = [
            {
                "name": each.name,
                "summary": each.summary,
                "machine": each.machine,
                "machines": each.machines if each.machine else 0,
                "seconds": each.seconds,
                "dollars": round(cost_of(each), 4),
                "checks": [check.id for check in plan.checks if check.experiment is each],
            }
            for each in plan.experiments
        ]
        totals = {"checks": len(plan.checks), "seconds": plan.seconds, "dollars": round(plan.dollars(), 4)}
        print(json.dumps({**totals, "experiments": experiments}, indent=1))
        return
    for line in plan_lines(plan):
        print(line)


def plan_lines(plan: Plan) -> list[str]:
    """Return a plan as lines for people."""
    rows = []
    for each in plan.experiments:
        number = sum(1 for check in plan.checks if check.experiment is each)
        machines = f"{each.machines} on {each.machine}" if each.machine else "no machine"
        cost = f"${cost_of(each):.3f}" if each.machine else ""
        rows.append([each.name, each.summary, f"{number} {_checks(number)}", machines, cost])
    limits = f"at most {human_seconds(plan.seconds)}, and ${plan.dollars():.2f}"
    return [*format_table(rows).splitlines(), f"{len(plan.checks)} {_checks(len(plan.checks))}: {limits}"]


def _checks(number: int) -> str:
    return "check" if number == 1 else "checks"


def shown(data: dict[str, Any]) -> str:
    """Return a report as lines for people, one a check."""
    lines = []
    for check in data["checks"]:
        seen = check["seen"]
        lines.append([check["verdict"], check["id"], seen if len(seen) <= _WIDTH else f"{seen[: _WIDTH - 1]}…"])
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in data["counts"].items())
    ended = f"; the run ended before its time: {data['ended']}" if data["ended"] else ""
    return f"{format_table(lines)}\n{numbers}{ended}"
