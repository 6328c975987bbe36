"""The matrix of faults: `python -m tests.faults [PATTERN …]` runs the cells of these names, `--spread N` today's.

`--table docs/reliability.md` writes the table of a whole matrix.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

from tests.faults.cell_run import CellResult, run_cell
from tests.faults.matrix import cells, spread
from tests.faults.table import write_table


def main() -> int:
    """Run the cells that patterns choose, and return 0 if all are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"], help="such as 'job/*/401-*'")
    parser.add_argument("--at-once", type=int, default=3, help="cells that run at the same time")
    parser.add_argument("--keep", type=Path, help="the folder that keeps the files of cells with problems")
    parser.add_argument("--table", type=Path, help="the page that gets the table, if all cells were run")
    parser.add_argument("--spread", type=int, help="run so many cells, which are others each day")
    arguments = parser.parse_args()
    every = spread(arguments.spread, date.today().toordinal()) if arguments.spread else cells()
    chosen = [cell for cell in every if any(fnmatch(cell.id, pattern) for pattern in arguments.patterns)]
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="lightning-native-faults-"))
    results: list[CellResult] = []
    with ThreadPoolExecutor(arguments.at_once) as pool:
        runs = [pool.submit(run_cell, cell, root / cell.id.replace("/", "-")) for cell in chosen]
        for run in as_completed(runs):
            result = run.result()
            results.append(result)
            _report(result, len(results), len(chosen))
            folder = root / result.cell.id.replace("/", "-")
            if result.problems:
                (folder / "output.txt").write_text(result.output)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    wrong = [result for result in results if result.problems]
    print(f"{len(results) - len(wrong)} of {len(results)} cells are right")  # noqa: T201  the result
    for result in wrong:
        _report(result, 0, len(results))
        print(result.output)  # noqa: T201  the reason
    if arguments.table:
        write_table(arguments.table, results)
    if not arguments.keep:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if wrong else 0


def _report(result: CellResult, number: int, count: int) -> None:
    verdict = "; ".join(result.problems) or "right"
    print(f"[{number}/{count}] {result.cell.id}: {verdict} ({result.seconds:.0f} s)", flush=True)  # noqa: T201  progress


if __name__ == "__main__":
    sys.exit(main())
