"""The page with the matrix of faults: a row for each operation, a column for each fault."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.cell_run import CellResult

BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def write_table(page: Path, results: "Sequence[CellResult]") -> None:
    """Replace the tables between the marks of a page."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{tables(results)}\n{END}{after}")


def tables(results: "Sequence[CellResult]") -> str:
    """Return a table for each placement."""
    shown = []
    for placement in dict.fromkeys(result.cell.operation.placement for result in results):
        of_placement = [result for result in results if result.cell.operation.placement == placement]
        faults = list(dict.fromkeys(result.cell.fault.name for result in of_placement))
        found = {(result.cell.operation.name, result.cell.fault.name): result for result in of_placement}
        rows = [f"| {placement} | {' | '.join(faults)} |", f"|---|{'---|' * len(faults)}"]
        for operation in dict.fromkeys(result.cell.operation.name for result in of_placement):
            marks = [_mark(found.get((operation, fault))) for fault in faults]
            rows.append(f"| {operation} | {' | '.join(marks)} |")
        shown.append("\n".join(rows))
    return "\n\n".join(shown)


def _mark(result: "CellResult | None") -> str:
    if result is None:
        return ""
    if result.problems:
        return "**wrong**"
    return "completes" if result.exit_code == 0 else "fails, says why"
