"""Outputs of steps come back to the run's folder, and a later attempt finds those of the earlier ones."""

import hashlib
import io
import json
import shutil
import tarfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import ContainerImage, Retry, RunPlan, Schedule, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.output_folder import OutputFolder
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import PlanError
from lightning_native.lightning.session import connect
from lightning_native.placement import PlacementName

IMAGE = ContainerImage("registry.example/tool:1")
PLACES: list[tuple[PlacementName, ContainerImage | None]] = [
    ("studio", None),
    ("job", None),
    ("job", IMAGE),
    ("platform", None),
    ("platform", IMAGE),
]
NAMES = ["studio", "job", "job in an image", "pipeline", "pipeline in an image"]
everywhere = pytest.mark.parametrize(("placement", "image"), PLACES, ids=NAMES)

# Each attempt adds a line to the checkpoint of the one before.
TRAIN = """
mkdir -p checkpoints
[ -z "$LIGHTNING_NATIVE_RESUME" ] || cp "$LIGHTNING_NATIVE_RESUME/checkpoints/last" checkpoints/last
echo x >> checkpoints/last
"""


def shell(script: str, **options: Any) -> StepPlan:
    return StepPlan("train", ("sh", "-ec", script), **options)


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def events(folder: RunFolder) -> str:
    with Journal() as journal:
        steps = [f"{step.name}: {step.message}" for step in journal.steps(folder.path.name)]
        return "\n".join([*(event.text for event in journal.events(folder.path.name)), *steps])


@everywhere
def test_outputs_come_back_from_every_attempt_and_the_next_one_finds_them(
    runner: Runner, placement: PlacementName, image: ContainerImage | None
) -> None:
    script = f"{TRAIN} echo a > table.csv; echo b > other.txt; [ $(wc -l < checkpoints/last) = 3 ] || exit 3"
    step = shell(script, image=image, retry=Retry(2), outputs=("checkpoints/**", "*.csv"))
    folder = runner.make(placement, step)
    assert runner.drive(folder) == 0, events(folder)
    for attempt in (1, 2, 3):
        assert files(folder.outputs("train", attempt)) == {"checkpoints/last": "x\n" * attempt, "table.csv": "a\n"}


@pytest.mark.parametrize(("placement", "image"), PLACES[1:], ids=NAMES[1:])
def test_an_interrupted_step_goes_on_from_its_last_checkpoint(
    runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName, image: ContainerImage | None
) -> None:
    # Late enough for the step to have begun, and to have been packed, on a busy computer.
    lightning_cloud.faults.add("interrupt", seconds=6.0, times=1)
    # Nothing is packed when the machine goes, because the command does not end on SIGTERM.
    script = f"trap '' TERM; {TRAIN} [ $(wc -l < checkpoints/last) = 2 ] || while :; do sleep 1; done"
    step = shell(script, image=image, interruptible=True, outputs=("checkpoints/**",), outputs_every=0.5)
    folder = runner.make(placement, step)
    assert runner.drive(folder) == 0, events(folder)
    assert files(folder.outputs("train", 1)) == {"checkpoints/last": "x\n"}
    assert files(folder.outputs("train", 2)) == {"checkpoints/last": "x\nx\n"}


def test_a_step_whose_studio_died_goes_on_from_what_it_has_left(runner: Runner, lightning_cloud: LocalCloud) -> None:
    script = f"{TRAIN} n=$(wc -l < checkpoints/last); echo $n >> {runner.results}/lines; [ $n = 2 ] || sleep 600"
    step = shell(script, retry=Retry(1), outputs=("checkpoints",))
    studio = "outputs-of-a-studio-that-dies"
    folder = runner.make("studio", step, main_studio=studio)
    driving = runner.start(folder)
    runner.wait_for("lines")
    lightning_cloud.faults.add("studio-dies", seconds=0.5, times=1)
    assert driving.wait(240) == 0, events(folder)
    assert runner.lines("lines") == ["1", "2"]
    assert files(folder.outputs("train", 1)) == {"checkpoints/last": "x\n"}
    assert files(folder.outputs("train", 2)) == {"checkpoints/last": "x\nx\n"}
    # The studio stays, and has none of ours.
    assert [path.name for path in lightning_cloud.root.glob("studios/*/home/.lightning-native/outputs/*")] == []
    connect().create_studio(studio).release(delete=True)


@pytest.mark.parametrize(("placement", "image"), PLACES[1:4], ids=NAMES[1:4])
def test_a_new_controller_gives_a_step_the_outputs_whose_store_is_gone(
    runner: Runner, lightning_cloud: LocalCloud, placement: PlacementName, image: ContainerImage | None
) -> None:
    script = f"{TRAIN} echo x >> {runner.results}/lines; [ $(wc -l < checkpoints/last) = 2 ] || exit 3"
    folder = runner.make(placement, shell(script, image=image, outputs=("checkpoints",)))
    assert runner.drive(folder) == 1
    assert files(folder.outputs("train", 1)) == {"checkpoints/last": "x\n"}
    # What the run held is released, and its step may run again, as after a top-up.
    again = RunFolder.of(uuid.uuid4().hex)
    again.write(replace(folder.plan(), run_id=again.path.name), runner.code, {})
    again.end_submission()
    shutil.copytree(folder.path / "outputs", again.path / "outputs")
    assert runner.drive(again) == 0, events(again)
    assert runner.lines("lines") == ["x", "x"]
    newest = OutputFolder(again.path, "train").newest()
    assert newest is not None
    assert files(newest[1]) == {"checkpoints/last": "x\nx\n"}
    assert [files(path)["checkpoints/last"] for _, path in OutputFolder(again.path, "train").attempts()] == [
        "x\n",
        "x\nx\n",
    ]
    assert list(lightning_cloud.root.glob("drives/*/lightning_storage/lightning-native/outputs/*")) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outputs": ("",)}, "names no files"),
        ({"outputs": ("/etc/*",)}, "'/etc/\\*', which is absolute"),
        ({"outputs": ("a/../b",)}, "leads out of its folder"),
        ({"outputs": ("~root/x",)}, "names no files"),
        ({"outputs": ("./.",)}, "names no files"),
        ({"outputs": ("a" * 2000,)}, "longer than 1000 characters"),
        ({"outputs": ("**/a/" * 6 + "b",)}, "more than 5 times"),
        ({"outputs": ("_home/x",)}, "write ~/… for those"),
        ({"outputs": ("a",) * 101}, "100 patterns are the most"),
        ({"outputs_every": 5.0}, "but no outputs"),
        ({"outputs": ("a",), "outputs_every": 0.0}, "outputs_every of 0.0 s"),
        ({"outputs": ("a",), "outputs_every": float("nan")}, "outputs_every of nan s"),
        ({"outputs": ("a\0",)}, "NUL"),
    ],
)
def test_outputs_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    plan = RunPlan("r", "engine test", (StepPlan("train", ("true",), **options),))
    with pytest.raises(PlanError, match=words) as refused:
        check_plan(plan)
    assert "step 'train'" in str(refused.value)


def test_the_outputs_of_a_schedule_are_refused() -> None:
    step = StepPlan("train", ("true",), outputs=("a",))
    plan = RunPlan("r", "engine test", (step,), placement="platform", schedule=Schedule("nightly", "0 2 * * *"))
    with pytest.raises(PlanError, match="nobody fetches those of schedule 'nightly'"):
        check_plan(plan)
    assert RunPlan.from_json(plan.to_json()) == plan


def test_hostile_records_and_archives_end_as_events(runner: Runner, tmp_path: Path) -> None:
    # The teamspace can write to the drive, and the step's own code can, too.
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("../../../../escaped")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    record = {"attempt": 7, "files": 1, "archive": 9, "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    (tmp_path / "record").write_text(json.dumps(record))
    script = (
        f"echo 1 > model; cd /teamspace/lightning_storage/lightning-native/outputs/*; "
        f"cp {archive} 9.tar.gz; cp {tmp_path}/record 2.json"
    )
    folder = runner.make("job", shell(script, outputs=("model",)))
    assert runner.drive(folder) == 0
    assert "the outputs of attempt 7 are refused" in events(folder)
    assert not list(tmp_path.rglob("escaped"))
    assert [name for name, _ in OutputFolder(folder.path, "train").attempts()] == ["1"]
    assert files(folder.outputs("train", 1)) == {"model": "1\n"}


def test_what_is_left_out_becomes_one_event_that_names_it(runner: Runner) -> None:
    script = "echo 1 > a; ln -s /etc/passwd b; ln -s /etc/passwd c; sleep 1"
    folder = runner.make("studio", shell(script, outputs=("a", "b", "c"), outputs_every=0.2))
    assert runner.drive(folder) == 0
    why = "it is a link to something that is no output"
    line = f"2 files are left out of the outputs of attempt 1: b ({why}), c ({why})"
    assert events(folder).splitlines().count(line) == 1
    assert files(folder.outputs("train", 1)) == {"a": "1\n"}


def test_a_step_without_outputs_has_none(runner: Runner) -> None:
    folder = runner.make("job", shell('echo 1 > a; [ -z "${LIGHTNING_NATIVE_RESUME+x}" ]'))
    assert runner.drive(folder) == 0
    assert not (folder.path / "outputs").exists()


def test_without_the_drive_outputs_come_back_as_artifacts_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(tmp_path / "root", parts={"save_seconds": 1}) as cloud:
        cloud.faults.add("status", match="POST /v1/projects/*/artifacts/blobs", status=403, times=0)
        runner = Runner(cloud, tmp_path)
        folder = runner.make("job", shell("echo 1 > model", outputs=("model",)))
        assert runner.drive(folder) == 0
        assert "come back at its end only, as artifacts of its job" in events(folder)
        assert files(folder.outputs("train", 1)) == {"model": "1\n"}
