"""The monthly budgets of teamspaces, which hold for all runs of this home."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_native.engine.record.journal import Journal

_FACT = "budget "


def monthly_budget(journal: "Journal", cloud: str) -> float | None:
    """Return the dollars that all runs on a cloud may cost in a calendar month; None: no limit."""
    rows = journal.query("SELECT value FROM facts WHERE name = ?", (_FACT + cloud,))
    return float(rows[0]["value"]) if rows else None


def has_monthly_budgets(journal: "Journal") -> bool:
    """Return whether any teamspace has a budget."""
    return bool(journal.query("SELECT 1 FROM facts WHERE substr(name, 1, ?) = ?", (len(_FACT), _FACT)))


def set_monthly_budget(journal: "Journal", cloud: str, dollars: float) -> None:
    """Record the budget of a teamspace."""
    with journal.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_FACT + cloud, str(dollars)))


def clear_monthly_budget(journal: "Journal", cloud: str) -> bool:
    """Remove the budget of a teamspace; return whether there was one."""
    with journal.transaction() as connection:
        return connection.execute("DELETE FROM facts WHERE name = ?", (_FACT + cloud,)).rowcount > 0


def shown_dollars(dollars: float) -> str:
    """Return an amount for people: `$5.00`, and `$0.0012` below a cent."""
    return f"${dollars:.2f}" if dollars >= 0.1 or round(dollars, 2) == dollars else f"${dollars:.2g}"


def month_begin(now: float | None = None) -> float:
    """Return the time at which the present calendar month has begun, in this computer's time zone."""
    moment = datetime.fromtimestamp(time.time() if now is None else now).astimezone()
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
