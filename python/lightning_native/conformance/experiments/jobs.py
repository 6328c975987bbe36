"""Jobs from the suite's studio: one that is watched from its submission to its deletion, and two with other ends."""

import re

from lightning_native.conformance.experiment import Bench, Experiment, Seen, stage
from lightning_native.conformance.experiments.common import (
    FOLDER,
    PROBE,
    WAITING,
    Moment,
    exists,
    find_facts,
    follow,
    upload,
)
from lightning_native.conformance.experiments.studio import STUDIO
from lightning_native.errors import CloudError
from lightning_native.lightning.inspection.records import job_record, submit, timed_log
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.studios import LightningStudio

MACHINE = "CPU"
_LOG_SECONDS, _SETTLE_SECONDS, _ARTIFACT_SECONDS, _GONE_SECONDS = 900.0, 420.0, 600.0, 180.0
# For how long the command goes on, so that a poll sees it run.
_COMMAND_SECONDS = 6.0
_PROVISIONED = re.compile(r"[Mm]achine available after (\d+(?:\.\d+)?)\s*s")


def _watch(bench: Bench, seen: Seen) -> None:
    studio: LightningStudio = bench.results["studio"]["studio"]
    name = seen["asked_name"] = bench.name("job")
    bench.lease("job", name)
    upload(studio, "before\n", f"{FOLDER}/before")
    command = "\n".join(
        (
            f"echo {bench.mark}-begins",
            f"python {PROBE} job {bench.mark}",
            f"sleep {max(1.0, _COMMAND_SECONDS / bench.rate):g}",
        )
    )
    with bench.machine(MACHINE):
        job = submit(bench.teamspace, studio, MACHINE, name=name, command=command, reuse_snapshot=False)
        # The job may see this file if its snapshot is taken after the answer to its submission.
        upload(studio, "after\n", f"{FOLDER}/after")
        seen["name"] = job.name
        with stage(seen):
            if job_record(job).state in WAITING:
                seen["log_while_pending"] = _log_error(job)
        moments = seen["moments"] = follow(bench, job)
    seen["ended"] = moments[-1].at
    with stage(seen):
        seen["studio_python"] = bench.results["studio"]["facts"]["python"]
    with stage(seen):
        seen["listed"] = name in bench.cloud.job_names()
        seen["found"] = [found.name for found in bench.cloud.find_jobs(name)]
    with stage(seen):
        _read_log(bench, seen, job)
    with stage(seen):
        _wait_for_cost(bench, seen, job, moments)
    with stage(seen):
        _find_artifacts(bench, seen, studio, job)
    with stage(seen):
        job.release()
        job.release()
        seen["released_twice"] = True
        folder = f"/teamspace/jobs/{job.name}"
        seen["artifacts_gone"] = bool(bench.wait(lambda: not exists(studio, folder), _GONE_SECONDS))


def _log_error(job: LightningJob) -> str:
    try:
        job.output()
    except CloudError as error:
        return str(error)
    return ""


def _read_log(bench: Bench, seen: Seen, job: LightningJob) -> None:
    seconds = bench.time_until(lambda: bench.mark in job.output(), _LOG_SECONDS, since=seen["ended"])
    if seconds is None:
        seen.reason = "the log of the ended job did not appear within a quarter of an hour"
        return
    output = seen["log"] = job.output()
    seen["log_seconds"] = seconds
    before = output.partition(f"{bench.mark}-begins")[0]
    seen["platform_lines"] = [line for line in before.splitlines() if line.strip()]
    if provisioned := _PROVISIONED.search(before):
        seen["provision_seconds"] = float(provisioned[1])
    if found := find_facts(output, bench.mark):
        seen["facts"] = found[0]
    seen["timed_log"] = timed_log(job)


def _wait_for_cost(bench: Bench, seen: Seen, job: LightningJob, moments: list[Moment]) -> None:
    """Read the cost until it has not changed for long; it has settled at the time of its last change."""
    first = last = moments[-1].record.cost
    settled = seen["ended"]

    def is_over() -> bool:
        nonlocal last, settled
        cost = job_record(job).cost
        if cost != last:
            last, settled = cost, bench.now()
        return bool(bench.now() - seen["ended"] > _SETTLE_SECONDS)

    bench.wait(is_over, 2 * _SETTLE_SECONDS)
    seen["first_cost"], seen["settled_cost"], seen["settle_seconds"] = first, last, settled - seen["ended"]
    seen["hourly"] = bench.prices.get(MACHINE)


def _find_artifacts(bench: Bench, seen: Seen, studio: LightningStudio, job: LightningJob) -> None:
    root = f"/teamspace/jobs/{job.name}"
    places = {"": root, "artifacts": f"{root}/artifacts"}

    def place() -> str | None:
        return next((name for name, path in places.items() if exists(studio, f"{path}/conformance-out/file")), None)

    # An empty name is one, too.
    found = bench.wait(lambda: None if (name := place()) is None else (name,), _ARTIFACT_SECONDS)
    seen["artifact_place"] = found[0] if found else None
    if found:
        kept = {"hidden": "conformance-out/.hidden", "cache": ".cache/conformance/blob"}
        seen["artifacts"] = {name: exists(studio, f"{places[found[0]]}/{path}") for name, path in kept.items()}
    seen["studio_changed"] = exists(studio, "conformance-out")


def _end(bench: Bench, seen: Seen) -> None:
    studio: LightningStudio = bench.results["studio"]["studio"]
    asked = seen["asked_name"] = f"Conformance_{bench.token}.Fails"
    bench.lease("job", f"conformance-{bench.token}-fails")
    with bench.machine(MACHINE):
        command = f"echo {bench.mark}-begun\nfalse\necho {bench.mark}-unreachable"
        failing = submit(bench.teamspace, studio, MACHINE, name=asked, command=command, reuse_snapshot=True)
        seen["name"] = failing.name
        bench.lease("job", failing.name)
        # Only then the snapshot, which the second job shares, is taken.
        bench.wait(lambda: job_record(failing).state not in WAITING, _LOG_SECONDS)
        with stage(seen):
            _stop(bench, seen, studio, failing.name)
        moments = seen["failed"] = follow(bench, failing)
    with stage(seen):
        seen["failed_log"] = bench.wait(lambda: text if bench.mark in (text := failing.output()) else "", _LOG_SECONDS)
        seen["restarts"] = moments[-1].record.restarts


def _stop(bench: Bench, seen: Seen, studio: LightningStudio, taken: str) -> None:
    """Run a second job under a name that is taken, and stop it while it runs."""
    upload(studio, "between\n", f"{FOLDER}/between")
    see = f"test -e {FOLDER}/between && echo {bench.mark}-sees || echo {bench.mark}-misses"
    with bench.machine(MACHINE):
        job = submit(bench.teamspace, studio, MACHINE, name=taken, command=f"{see}\nsleep 3600", reuse_snapshot=True)
        seen["second_name"] = job.name
        bench.lease("job", job.name)
        bench.wait(lambda: job_record(job).state == "running", _LOG_SECONDS)
        seen["running_log"] = bench.wait(lambda: text if bench.mark in (text := job.output()) else "", _LOG_SECONDS)
        job.stop()
        seen["stopped"] = follow(bench, job)


JOB = Experiment(
    "job", "watches a job from its submission to its deletion", _watch, machine=MACHINE, seconds=1200, billed=400,
    needs=(STUDIO,),
)  # fmt: skip
ENDS = Experiment(
    "ends", "lets one job fail and stops another", _end, machine=MACHINE, machines=2, seconds=700, billed=300,
    needs=(STUDIO,),
)  # fmt: skip
