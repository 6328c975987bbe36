"""Jobs of other kinds: in an image, on two machines, in a pipeline, and those that are refused."""

import base64
import time

from lightning_native.conformance.experiment import Bench, Experiment, Seen, stage
from lightning_native.conformance.experiments.account import ACCOUNT
from lightning_native.conformance.experiments.common import (
    JOB_SECONDS,
    PROBE,
    file_with,
    find_facts,
    follow,
    probe_program,
)
from lightning_native.conformance.experiments.studio import STUDIO
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import JobRequest, PipelineRequest, PipelineStepRequest
from lightning_native.lightning.inspection.records import find_job_by_id, keeps_artifacts, pipeline_steps, submit
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.studios import LightningStudio

MACHINE = "CPU"
IMAGE_NAME = "python:3.12-slim"
_LOG_SECONDS = 900.0
_MOUNT = "/tmp/conformance-drive"  # noqa: S108 - a path in a container
_ENDS = ("completed", "failed", "stopped")
_NO_MACHINE = "lit-nonsense-1"


def _output(bench: Bench, job: LightningJob) -> str:
    return bench.wait(lambda: text if bench.mark in (text := job.output()) else "", _LOG_SECONDS) or ""


def _run_image(bench: Bench, seen: Seen) -> None:
    name = seen["asked_name"] = bench.name("in an image, under the longest name that we ever ask for")
    folder = f"conformance-{bench.token}-image"
    bench.lease("folder", folder)
    bench.lease("job", name)
    with file_with("mounted\n") as path:
        bench.cloud.upload_to_drive(path, f"{folder}/file")
    program = base64.b64encode(probe_program().encode()).decode()
    look = f"test -e {_MOUNT}/file && echo {bench.mark}-mounted || echo {bench.mark}-missing"
    run = f"python3 -c \"import base64; exec(base64.b64decode('{program}'))\" image {bench.mark}"
    with bench.machine(MACHINE):
        job = bench.cloud.run_job(
            JobRequest(
                name,
                MACHINE,
                f"{look}; {run}",
                image=IMAGE_NAME,
                env={"CONFORMANCE_GIVEN": "yes"},
                mounts={_MOUNT: folder},
            )
        )
        seen["name"] = job.name
        seen["moments"] = follow(bench, job)
    with stage(seen):
        output = _output(bench, job)
        seen["mounted"] = f"{bench.mark}-mounted" in output
        if found := find_facts(output, bench.mark):
            seen["facts"] = found[0]
    with stage(seen):
        seen["keeps_artifacts"] = keeps_artifacts(job)


def _run_two(bench: Bench, seen: Seen) -> None:
    name = bench.name("machines")
    bench.lease("job", name)
    studio = bench.results["studio"]["name"]
    request = JobRequest(name, MACHINE, f"python {PROBE} machine {bench.mark}", studio=studio, num_machines=2)
    with bench.machine(MACHINE, 2):
        job = bench.cloud.run_job(request)
        seen["state"] = bench.wait(lambda: state if (state := job.state()) in _ENDS else "", JOB_SECONDS)
    with stage(seen):
        found = bench.wait(
            lambda: facts if len(facts := find_facts(job.output(), bench.mark)) == 2 else None, _LOG_SECONDS
        )
        if found:
            seen["facts"] = found


def _run_pipeline(bench: Bench, seen: Seen) -> None:
    name = bench.name("pipeline")
    bench.lease("pipeline", name)
    studio = bench.results["studio"]["name"]
    see = f'test -n "$LIGHTNING_PIPELINE_ID" && echo {bench.mark}-knows || echo {bench.mark}-ignorant'
    steps = (
        PipelineStepRequest(JobRequest("first", MACHINE, see, studio=studio)),
        PipelineStepRequest(JobRequest("second", MACHINE, f"echo {bench.mark}-second", studio=studio), ("first",)),
    )
    with bench.machine(MACHINE):
        before = bench.now()
        pipeline = bench.cloud.create_pipeline(PipelineRequest(name, steps))
        seen["asked_name"], seen["name"] = name, pipeline.name
        order: list[tuple[str, str]] = []

        def look() -> str:
            status = pipeline.status()
            for step, found in status.steps.items():
                if (step, found.state) not in order:
                    order.append((step, found.state))
            return status.state if status.state in _ENDS else ""

        seen["state"] = bench.wait(look, 2 * JOB_SECONDS)
        seen["seconds"], seen["order"] = bench.now() - before, order
    with stage(seen):
        records = seen["steps"] = pipeline_steps(bench.teamspace, pipeline)
        listed = bench.cloud.job_names()
        named = {step.name: find_job_by_id(bench.teamspace, step.resource_id) for step in records if step.resource_id}
        seen["named_by_id"] = named
        seen["listed"] = [job for job in named.values() if job in listed]
    with stage(seen):
        # As the engine finds it.
        seen["first_log"] = _output(bench, pipeline.job(pipeline.status().steps["first"]))
    with stage(seen):
        # A time that does not come while the suite runs.
        cron = f"0 0 1 {(time.gmtime().tm_mon + 5) % 12 + 1} *"
        schedule = pipeline.schedule(f"{name}-schedule", cron, "Europe/Zurich")
        seen["cron"] = (cron, schedule.cron, schedule.timezone, schedule.paused)
        schedule.update(paused=True)
        found = [each for each in bench.cloud.schedules() if each.pipeline_id == pipeline.id]
        seen["paused"] = [each.paused for each in found]
        seen["runs_of_schedule"] = len(pipeline.runs())
        schedule.release()
        seen["schedules_left"] = [each for each in bench.cloud.schedules() if each.pipeline_id == pipeline.id]
    with stage(seen):
        pipeline.release()
        pipeline.release()
        seen["gone"] = bench.cloud.find_pipeline(name) is None


def _be_refused(bench: Bench, seen: Seen) -> None:
    studio: LightningStudio = bench.results["studio"]["studio"]
    seen["unknown_machine"] = _refusal(bench, studio, _NO_MACHINE, "unknown")
    machines = bench.results["account"]["machines"]
    here = {machine.live_slug or machine.slug for machine in machines.get(bench.results["studio"]["account"], [])}
    elsewhere = {machine.live_slug or machine.slug for each in machines.values() for machine in each}
    missing = sorted(slug for slug in elsewhere - here if slug)
    if not missing:
        seen.reason = "each machine of the lists exists on the studio's cloud account"
        return
    seen["missing_machine"] = missing[0]
    seen["elsewhere"] = _refusal(bench, studio, missing[0], "elsewhere")


def _refusal(bench: Bench, studio: LightningStudio, machine: str, thing: str) -> CloudError | None:
    """Return the error of a submission; a job that was accepted all the same is deleted before it has a machine."""
    name = bench.name(thing)
    bench.lease("job", name)
    try:
        job = submit(bench.teamspace, studio, machine, name=name, command="true", reuse_snapshot=True)
    except CloudError as error:
        return error
    job.release()
    return None


IMAGE = Experiment("image", "runs a job in a container image", _run_image, machine=MACHINE, seconds=700, billed=300)
TWO = Experiment(
    "machines", "runs a job on two machines", _run_two, machine=MACHINE, machines=2, seconds=800, billed=240,
    needs=(STUDIO,),
)  # fmt: skip
PIPELINE = Experiment(
    "pipeline", "runs a pipeline of two steps", _run_pipeline, machine=MACHINE, seconds=1200, billed=480,
    needs=(STUDIO,),
)  # fmt: skip
REFUSALS = Experiment(
    "refusals", "asks for machines that cannot be had", _be_refused, seconds=60, needs=(STUDIO, ACCOUNT)
)
