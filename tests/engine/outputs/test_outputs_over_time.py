"""Outputs on a platform whose jobs and studios take their time."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.outputs.test_outputs import TRAIN, events, files, shell
from tests.support.runner import Runner, own_runner
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Retry
from lightning_native.engine.record.output_folder import OutputFolder

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    root = tmp_path_factory.mktemp("cloud")
    with LocalCloud(root, profile="platform", parts={"settle_seconds": 0}, clock_rate=60.0) as cloud:
        yield cloud


@pytest.fixture
def runner(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    yield from own_runner(cloud, tmp_path, monkeypatch)
    assert StrictCloud(cloud).of_project("GET", "/jobs")["jobs"] == []
    assert list(cloud.root.glob("drives/*/lightning_storage/lightning-native/outputs/*")) == []


@pytest.mark.parametrize("placement", ["job", "platform", "studio"])
def test_a_failed_step_goes_on_from_its_checkpoint(runner: Runner, placement: Any) -> None:
    script = f"{TRAIN} [ $(wc -l < checkpoints/last) = 2 ] || exit 3"
    folder = runner.make(placement, shell(script, retry=Retry(1), outputs=("checkpoints/**",)))
    assert runner.drive(folder) == 0, events(folder)
    assert [files(folder.outputs("train", attempt)) for attempt in (1, 2)] == [
        {"checkpoints/last": "x\n"},
        {"checkpoints/last": "x\nx\n"},
    ]


def test_an_interrupted_job_goes_on_from_its_last_checkpoint(runner: Runner, cloud: LocalCloud) -> None:
    # Ten real seconds, in which the outputs are packed.
    cloud.faults.add("interrupt", seconds=600)
    script = f"trap '' TERM; {TRAIN} [ $(wc -l < checkpoints/last) = 2 ] || while :; do sleep 1; done"
    step = shell(script, interruptible=True, outputs=("checkpoints/**",), outputs_every=0.5)
    folder = runner.make("job", step)
    assert runner.drive(folder) == 0, events(folder)
    assert files(folder.outputs("train", 2)) == {"checkpoints/last": "x\nx\n"}


@pytest.mark.parametrize("placement", ["job", "platform", "studio"])
def test_a_run_that_was_out_of_funds_goes_on_from_its_last_checkpoint(
    runner: Runner, cloud: LocalCloud, placement: Any
) -> None:
    script = f"trap '' TERM; {TRAIN} [ $(wc -l < checkpoints/last) = 2 ] || while :; do sleep 1; done"
    folder = runner.make(placement, shell(script, outputs=("checkpoints/**",), outputs_every=0.5))
    driving = runner.start(folder)
    deadline = time.monotonic() + 240
    while not folder.outputs("train", 1).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    fault = cloud.faults.add("out-of-funds")
    try:
        assert driving.wait(240) == 1, events(folder)
    finally:
        cloud.faults.remove(fault.id)
    assert "out of funds" in events(folder)
    # Another controller: the store is gone with what the run held.
    assert runner.drive(folder) == 0, events(folder)
    assert [files(path) for _, path in OutputFolder(folder.path, "train").attempts()] == [
        {"checkpoints/last": "x\n"},
        {"checkpoints/last": "x\nx\n"},
    ]
