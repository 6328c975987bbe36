"""A script with every use of lightning-sdk by this package; it shows each part that fails, and exits with 1."""

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from lightning_native.lightning.cloud import JobHandle, JobRequest, PipelineRequest, PipelineStepRequest
from lightning_native.lightning.offers import fetch_offers
from lightning_native.lightning.session import connect, open_teamspace
from lightning_native.lightning.teamspace import LightningCloud
from lightning_native.lightning.time_zones import time_zones

STUDIO = "range-native"


def wait_for(job: JobHandle) -> str:
    while (state := job.state()) in ("pending", "running"):
        time.sleep(0.1)
    return state


def studio_is_used(cloud: LightningCloud) -> None:
    studio = cloud.find_studio(STUDIO)
    assert studio is not None
    assert studio.is_running()
    assert studio.is_up()
    assert studio.runs_on("CPU")
    assert studio.run(["sh", "-c", "echo 1; exit 3"]) == ("1", 3)
    Path("file").write_text("content")
    studio.upload(Path("file"), "up/file")
    assert studio.run(["cat", "up/file"]) == ("content", 0)
    studio.remove("up/file")
    studio.remove("up/file")
    assert studio.run(["ls", "up"]) == ("", 0)
    studio.start("L4")
    assert studio.runs_on("L4")
    assert cloud.find_studio("nobody-has-this") is None
    assert [found.name for found in cloud.find_studios(STUDIO)] == [STUDIO]


def jobs_are_used(cloud: LightningCloud) -> None:
    job = cloud.run_job(JobRequest("range-job", "CPU", "echo $X", studio=STUDIO, env={"X": "y"}))
    assert wait_for(job) == "completed"
    assert job.output().split() == ["y"]
    assert job.cost() >= 0
    [found] = cloud.find_jobs("range-job")
    details = found.details()
    assert (details.machine, details.command, details.env) == ("CPU", "echo $X", {"X": "y"})
    job.release()
    job.release()
    assert cloud.find_jobs("range-job") == []
    image = JobRequest("range-image", "CPU", "echo from an image", image="debian", interruptible=True)
    job = cloud.run_job(image)
    assert wait_for(job) == "completed"
    assert "from an image" in job.output()
    job.release()
    job = cloud.run_job(JobRequest("range-long", "CPU", "sleep 600", studio=STUDIO))
    job.stop()
    assert wait_for(job) == "stopped"
    job.release()
    several = cloud.run_job(JobRequest("range-several", "CPU", "echo $NODE_RANK", studio=STUDIO, num_machines=2))
    assert wait_for(several) == "completed"
    several.release()


def pipelines_are_used(cloud: LightningCloud) -> None:
    one = PipelineStepRequest(JobRequest("one", "CPU", "echo one", studio=STUDIO))
    two = PipelineStepRequest(JobRequest("two", "CPU", "echo two", studio=STUDIO), wait_for=("one",))
    pipeline = cloud.create_pipeline(PipelineRequest("range-pipeline", (one, two), stop_on_failure=True))
    while (status := pipeline.status()).state in ("pending", "running"):
        time.sleep(0.1)
    assert {name: step.state for name, step in status.steps.items()} == {"one": "completed", "two": "completed"}
    assert pipeline.job(status.steps["two"]).output().split() == ["two"]
    assert pipeline.studio_names() == [STUDIO]
    schedule = pipeline.schedule("range-schedule", "0 0 1 1 *", "Europe/Berlin")
    schedule.update(paused=True, cron="0 0 2 1 *")
    [found] = [each for each in cloud.schedules() if each.pipeline_id == pipeline.id]
    assert (found.cron, found.timezone, found.paused) == ("0 0 2 1 *", "Europe/Berlin", True)
    assert pipeline.runs() == []
    schedule.release()
    assert cloud.find_pipeline("range-pipeline") is not None
    pipeline.release()
    pipeline.release()
    assert cloud.find_pipeline("range-pipeline") is None


def drive_is_used(cloud: LightningCloud) -> None:
    Path("file").write_text("content")
    cloud.upload_to_drive(Path("file"), "range/file")
    mounted = JobRequest(
        "range-mounted",
        "CPU",
        "cat /tmp/drive/file",
        image="debian",
        mounts={"/tmp/drive": "range"},  # noqa: S108
    )
    job = cloud.run_job(mounted)
    assert wait_for(job) == "completed"
    assert "content" in job.output()
    job.release()
    cloud.remove_from_drive("range")
    cloud.remove_from_drive("range")


def prices_are_read(cloud: LightningCloud) -> None:
    assert (cloud.hourly_cost("L4") or 0) > 0
    offers = {offer.name: offer for offer in fetch_offers(open_teamspace())}
    assert offers["L4"].gpu_memory_gb == 24
    assert offers["CPU"].cpus > 0
    assert "Europe/Berlin" in time_zones()


def main() -> int:
    """Return 0 if every part works."""
    started = time.monotonic()
    cloud = connect()
    studio = cloud.create_studio(STUDIO)
    studio.start("CPU")
    parts: list[Callable[[LightningCloud], None]] = [
        studio_is_used,
        jobs_are_used,
        pipelines_are_used,
        drive_is_used,
        prices_are_read,
    ]
    failed = []
    for part in parts:
        try:
            part(cloud)
        except Exception:
            failed.append(part.__name__)
            sys.stderr.write(f"--- {part.__name__}\n{traceback.format_exc()}\n")
    studio.release(delete=True)
    assert STUDIO not in cloud.studio_names()
    seconds = time.monotonic() - started
    sys.stderr.write(f"{len(parts) - len(failed)} of {len(parts)} parts in {seconds:.0f} s {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
