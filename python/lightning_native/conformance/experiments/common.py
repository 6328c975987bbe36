"""The steps that several experiments share: small files, the output's facts, the way of a job to its end."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lightning_native.conformance.experiment import Bench
from lightning_native.lightning.inspection.records import JobRecord, job_record
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.studios import LightningStudio

# The folder of the suite below a studio's home.
FOLDER = "conformance"
PROBE = f"{FOLDER}/probe.py"
# Raw states of the platform.
FINAL = ("completed", "failed", "stopped", "deleted")
WAITING = ("pending", "creating")
JOB_SECONDS = 1800.0
PLATFORM_USER = "zeus"
OTHER_SOFTWARE = "the machines here have other software than the platform's (a local cloud has it with --strict)"


def probe_program() -> str:
    """Return the text of the program that reports from a machine."""
    return files("lightning_native.conformance").joinpath("probe.py").read_text(encoding="utf-8")


@contextmanager
def file_with(text: str) -> Iterator[Path]:
    """Yield a temporary file with a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_text(text, encoding="utf-8")
        yield path


def upload(studio: LightningStudio, text: str, remote: str) -> None:
    """Upload a text as a file of a studio."""
    with file_with(text) as path:
        studio.upload(path, remote)


def exists(studio: LightningStudio, path: str) -> bool:
    """Return whether a running studio has a path."""
    return studio.run(["test", "-e", path])[1] == 0


def find_facts(output: str, mark: str) -> list[dict[str, Any]]:
    """Return the facts of each machine in an output."""
    found = []
    for line in re.findall(rf"{re.escape(mark)} (\{{.*\}})", output):
        try:
            found.append(json.loads(line))
        except ValueError:
            # A line that was cut.
            continue
    return found


@dataclass(frozen=True)
class Moment:
    """A job's record, and the time of the cloud at which it was read."""

    at: float
    record: JobRecord


def follow(bench: Bench, job: LightningJob) -> list[Moment]:
    """Return the records of a job, one for each change of its state, up to its end or to the end of patience."""
    moments: list[Moment] = []

    def look() -> bool:
        record = job_record(job)
        if not moments or record.state != moments[-1].record.state:
            moments.append(Moment(bench.now(), record))
        return record.state in FINAL

    bench.wait(look, JOB_SECONDS)
    return moments


def states(moments: list[Moment]) -> str:
    """Return a job's states in their order, for a report."""
    return " → ".join(moment.record.state for moment in moments)
