"""A user's own script with lightning-sdk; each part that fails is shown, and the exit code is 1."""

import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

warnings.simplefilter("ignore")

from lightning_sdk import Job, Machine, Status, Studio, Teamspace  # noqa: E402
from lightning_sdk.pipeline import JobStep, Pipeline, Schedule  # noqa: E402


def wait_for(job: Job) -> None:
    while job.status in (Status.Pending, Status.Running) or str(job.status) == "Stopping":
        time.sleep(0.1)


def studio_runs_commands_and_moves_files(studio: Studio) -> None:
    assert studio.run("echo 1") == "1"
    assert studio.run_with_exit_code("exit 2") == ("", 2)
    Path("file").write_text("content")
    studio.upload_file("file", "up/file", progress_bar=False)
    studio.download_file("up/file", "down")
    assert Path("down").read_text() == "content"
    # A file that is too large for an upload in one piece.
    Path("large").write_bytes(bytes(range(256)) * 50_000)
    studio.upload_file("large", "up/large", progress_bar=False)
    studio.download_folder("up", "folder")
    assert Path("folder/large").read_bytes() == Path("large").read_bytes()
    studio.set_env({"A": "1"})
    assert studio.run("echo $A") == "1"


def studio_switches_its_machine(studio: Studio) -> None:
    studio.switch_machine(Machine.L4)
    assert studio.status == Status.Running
    assert studio.machine == Machine.L4


def job_runs_from_a_studio(studio: Studio) -> None:
    job = Job.run("from-studio", machine=Machine.CPU, studio=studio, command="cat up/file; echo $X", env={"X": "y"})
    wait_for(job)
    assert job.status == Status.Completed
    assert str(job.logs).split() == ["contenty"]
    assert job.total_cost >= 0
    job.delete()


def job_runs_from_an_image(_studio: Studio) -> None:
    job = Job.run("from-image", machine=Machine.CPU, image="debian", command="echo from an image")
    wait_for(job)
    assert job.status == Status.Completed
    assert "from an image" in str(job.logs)
    job.delete()


def job_is_stopped(studio: Studio) -> None:
    job = Job.run("stopped", machine=Machine.CPU, studio=studio, command="sleep 600")
    job.stop()
    assert job.status == Status.Stopped
    job.delete()


def pipeline_runs_with_a_schedule(studio: Studio) -> None:
    pipeline = Pipeline("range", teamspace=studio.teamspace, shared_filesystem=False)
    step = JobStep(name="one", machine=Machine.CPU, command="true", studio=studio)
    pipeline.run([step], schedules=[Schedule("0 0 1 1 *")])
    pipeline.delete()


def drive_takes_and_gives_files(studio: Studio) -> None:
    teamspace = studio.teamspace
    Path("file").write_text("content")
    teamspace.upload_file("file", "drive/file", progress_bar=False)
    teamspace.download_file("drive/file", "drive-file")
    assert Path("drive-file").read_text() == "content"


def teamspace_lists_what_is_there(studio: Studio) -> None:
    teamspace = Teamspace()
    assert studio.name in [found.name for found in teamspace.studios]
    # Before 2026.8.14 the SDK lists the machines of an organization only.
    assert any(machine.cost for machine in Teamspace("org-teamspace", org="local-org").list_machines())


def main() -> int:
    """Return 0 if every part works."""
    started = time.monotonic()
    studio = Studio("range")
    studio.start(Machine.CPU)
    assert studio.status == Status.Running
    parts: list[Callable[[Studio], None]] = [
        studio_runs_commands_and_moves_files,
        studio_switches_its_machine,
        job_runs_from_a_studio,
        job_runs_from_an_image,
        job_is_stopped,
        pipeline_runs_with_a_schedule,
        drive_takes_and_gives_files,
        teamspace_lists_what_is_there,
    ]
    failed = []
    for part in parts:
        try:
            part(studio)
        except Exception:
            failed.append(part.__name__)
            sys.stderr.write(f"--- {part.__name__}\n{traceback.format_exc()}\n")
    studio.stop()
    studio.delete()
    seconds = time.monotonic() - started
    sys.stderr.write(f"{len(parts) - len(failed)} of {len(parts)} parts in {seconds:.0f} s {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
