"""`lightning-native demo`: a real pipeline on the local cloud, in a throw-away ZenML configuration."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Lease, RunRecord, StepRecord
from lightning_native.errors import LightningNativeError
from lightning_native.lightning.local import attach, default_root
from lightning_native.terminal import clean, raw

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLE = "lightning-native demo"

_QUICKSTART = Path(__file__).parent / "quickstart.py"
_REFRESH_SECONDS = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--script", type=Path, default=_QUICKSTART, help="the pipeline to run (default: the quickstart)"
    )
    parser.add_argument("--verbose", action="store_true", help="show tracebacks with the frames of ZenML, too")
    parser.add_argument("--keep", action="store_true", help="keep the throw-away folder and say where it is")


def run(args: argparse.Namespace) -> int:
    """Run the demo; return 0 only if every step succeeded, no studio is left, and ours ran steps at the same time."""
    if not args.script.is_file():
        raise LightningNativeError(f"{args.script} is no file; name a Python file that runs a pipeline")
    if args.verbose:
        os.environ["LIGHTNING_NATIVE_VERBOSE"] = "1"
    folder = Path(tempfile.mkdtemp(prefix="lightning-native-demo-"))
    good = False
    try:
        good = _demo(args.script, folder)
    finally:
        if good and not args.keep:
            shutil.rmtree(folder)
        else:
            print(f"the demo's folder is {folder}", file=sys.stderr)
    return 0 if good else 1


def _demo(script: Path, folder: Path) -> bool:
    os.environ.update(
        {
            "LIGHTNING_NATIVE_HOME": str(folder / "home"),
            "ZENML_CONFIG_PATH": str(folder / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            # Otherwise ZenML regards this package's folder as the user's code, because it has the main module.
            "ZENML_CUSTOM_SOURCE_ROOT": str(script.resolve().parent),
            "ZENML_LOGGING_VERBOSITY": "ERROR",
            "PYTHONWARNINGS": "ignore",
        }
    )
    from rich.console import Console
    from rich.live import Live

    console = Console(file=raw(sys.stderr))
    with attach(default_root()) as environ, Journal() as journal:
        with console.status("registering the flavor and a stack in a throw-away ZenML configuration …"):
            from lightning_native.zenml.stacks import register_local_stack

            register_local_stack("demo")
        output = folder / "output.txt"
        with output.open("wb") as stream:
            pipeline = subprocess.Popen([sys.executable, str(script)], stdout=stream, stderr=subprocess.STDOUT)
        with Live(console=console, refresh_per_second=8) as live:
            while pipeline.poll() is None:
                live.update(_table(journal))
                time.sleep(_REFRESH_SECONDS)
            live.update(_table(journal))
        console.print()
        os.environ.update(environ)
        studios_left = _studios_now()
        shown = output.read_text(errors="replace")
        return _report(journal, pipeline.returncode, shown, studios_left, is_ours=script == _QUICKSTART)


def _studios_now() -> int:
    from lightning_native.lightning.session import connect

    return len(connect().studio_names())


def _table(journal: Journal) -> "Table":
    from rich.table import Table

    table = Table("step", "state", "studio", "machine", "time", box=None, pad_edge=False)
    colours = {"succeeded": "green", "running": "yellow", "preparing": "cyan", "failed": "red", "stopped": "red"}
    for record in journal.runs(1):
        for step in journal.steps(record.run_id):
            seconds = "" if step.started is None else f"{(step.ended or time.time()) - step.started:.1f} s"
            colour = colours.get(step.state, "dim")
            table.add_row(
                clean(step.name), f"[{colour}]{step.state}", clean(step.place or ""), step.machine or "", seconds
            )
    return table


def _report(journal: Journal, exit_code: int, output: str, studios_left: int, *, is_ours: bool) -> bool:
    records = journal.runs(1)
    if exit_code != 0 or not records:
        print(output[-4000:], file=sys.stderr)
        print(f"the pipeline failed with exit code {exit_code}", file=sys.stderr)
        return False
    record = records[0]
    steps, leases = journal.steps(record.run_id), journal.leases(record.run_id)
    result = (output.rstrip().splitlines() or [""])[-1]
    done = sum(step.state == "succeeded" for step in steps)
    peak = _most_at_once(steps)
    print(result)
    print(_summary(record, steps, done, peak))
    print(_studio_summary(leases, studios_left))
    open_leases = [lease for lease in leases if lease.released is None]
    as_ours = peak > 1 and "score" in result
    return done == len(steps) and studios_left == 0 and not open_leases and (as_ours or not is_ours)


def _summary(record: RunRecord, steps: list[StepRecord], done: int, peak: int) -> str:
    wall = (record.ended or time.time()) - record.started
    total = sum(step.ended - step.started for step in steps if step.started and step.ended)
    return (
        f"steps: {done} of {len(steps)} done in {wall:.1f} s; "
        f"their times add up to {total:.1f} s, up to {peak} at the same time"
    )


def _studio_summary(leases: list[Lease], studios_left: int) -> str:
    return f"studios: {len(leases)} created, {studios_left} left"


def _most_at_once(steps: list[StepRecord]) -> int:
    """Return the largest number of steps that ran at one time."""
    times = [(step.started, step.ended) for step in steps if step.started and step.ended]
    return max((sum(start <= at < end for start, end in times) for at, _ in times), default=0)
