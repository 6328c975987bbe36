"""The report of a run of the suite, as JSON and as Markdown: without keys, names or ids of the account."""

import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lightning_native.conformance.check import DIFFERENT, VERDICTS, Check, Outcome
from lightning_native.conformance.run import Result

# The word by which the reader of a report knows it; the number is that of its form.
FORMAT = "lightning-native-conformance/1"
_PACKAGES = ("lightning-native", "lightning-sdk")
_HIDDEN = "…"


def described(result: Result, *, cloud: str) -> dict[str, Any]:
    """Return a report as data; `cloud` says which cloud it is about."""
    data = {
        "format": FORMAT,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cloud": cloud,
        "versions": {**{name: _version(name) for name in _PACKAGES}, "python": platform.python_version()},
        "seconds": round(result.seconds, 1),
        "dollars": round(result.dollars, 4),
        "ended": result.ended,
        "left": result.left,
        "counts": counts(result.outcomes.values()),
        "checks": [_check(check, outcome) for check, outcome in result.outcomes.items()],
        "prices": [
            {
                "account": machine.account,
                "slug": machine.live_slug or machine.slug,
                "cost": machine.cost,
                "spot": machine.spot,
                "wait": machine.wait,
                "full": machine.full,
            }
            for machine in result.machines
            if machine.cost
        ],
    }
    hidden: dict[str, Any] = _without(data, sorted(result.private, key=len, reverse=True))
    return hidden


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of outcomes of each kind."""
    verdicts = [outcome.verdict for outcome in outcomes]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def markdown(data: dict[str, Any]) -> str:
    """Return a report as a page, the differences first."""
    versions = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in data["counts"].items())
    lines = [
        "# Conformance report",
        "",
        f"{data['cloud']}, {data['date']}. {versions}. {data['seconds']:.0f} s, ${data['dollars']:.2f} by the clock.",
        *([f"The run ended before its time: {data['ended']}."] if data["ended"] else []),
        *([f"Left over: {', '.join(data['left'])}."] if data["left"] else []),
        "",
        f"{numbers}.",
    ]
    for verdict in sorted(VERDICTS, key=lambda each: each != DIFFERENT):
        found = [check for check in data["checks"] if check["verdict"] == verdict]
        if found:
            lines += [
                "",
                f"## {verdict.capitalize()}",
                "",
                "| Check | Assumption | Expected | Seen |",
                "|---|---|---|---|",
            ]
            lines += [_row(check) for check in found]
    return "\n".join(lines) + "\n"


def _row(check: dict[str, Any]) -> str:
    measured = ", ".join(f"{name} = {value}" for name, value in check["measured"].items())
    seen = "; ".join(text for text in (check["seen"], measured) if text)
    cells = (f"`{check['id']}`", check["assumption"], check["expected"], seen)
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


def _check(check: Check, outcome: Outcome) -> dict[str, Any]:
    return {
        "id": check.id,
        "topic": check.topic,
        "assumption": check.assumption,
        "expected": check.expected,
        "verdict": outcome.verdict,
        "seen": outcome.seen,
        "measured": dict(outcome.measured),
    }


def _without(value: Any, private: list[str]) -> Any:
    """Return data without private words in any of its texts."""
    if isinstance(value, dict):
        return {key: _without(each, private) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each, private) for each in value]
    if isinstance(value, str):
        for word in private:
            value = value.replace(word, _HIDDEN)
    return value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
