"""Runs of the engine, created and driven in processes of their own, as users' runs are."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import lightning_native
from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.session import connect
from lightning_native.placement import PlacementName
from tests.support.zygote import Zygote

DRIVER = Path(__file__).parent / "driver.py"


@cache
def _zygote(url: str) -> Zygote:
    # The package of this checkout, which may be another than the installed one.
    path = os.pathsep.join([str(DRIVER.parent), str(Path(lightning_native.__file__).parents[1])])
    # The SDK reads the address when it is imported.
    return Zygote(("lightning_sdk", "driver"), {**os.environ, "LIGHTNING_CLOUD_URL": url, "PYTHONPATH": path})


class Runner:
    """A creator and driver of runs, in a home and a code folder of their own."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self._cloud = cloud
        self.code = folder / "code"
        self.code.mkdir()
        self.results = folder / "results"
        self.results.mkdir()

    def make(
        self,
        placement: PlacementName,
        *steps: StepPlan,
        variables: dict[str, dict[str, str]] | None = None,
        own_extra: str | None = None,
        **options: Any,
    ) -> RunFolder:
        plan = RunPlan(uuid.uuid4().hex, "engine test", steps, placement=placement, **options)
        folder = RunFolder.of(plan.run_id)
        folder.write(plan, self.code, variables or {}, origin=Origin(own_extra=own_extra))
        # The submission ends, because another process drives the run.
        folder.end_submission()
        return folder

    def start(self, folder: RunFolder, moment: str = "") -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, str(DRIVER), str(folder.path), moment], env={**os.environ, **self._cloud.environ}
        )

    def drive(self, folder: RunFolder, moment: str = "") -> int:
        """Drive a run, up to a moment if one is named, and return the controller's exit code."""
        argv = [str(DRIVER), str(folder.path), moment]
        result = _zygote(self._cloud.url).run(argv, {**os.environ, **self._cloud.environ}, timeout=400)
        print(result.stdout, result.stderr)  # noqa: T201  shown when the test fails
        return result.returncode

    def wait_for(self, name: str) -> None:
        """Wait until a step has written to its result file."""
        deadline = time.monotonic() + 240
        while not self.lines(name):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def states(self, folder: RunFolder) -> dict[str, str]:
        with Journal() as journal:
            return {step.name: step.state for step in journal.steps(folder.path.name)}

    def lines(self, name: str) -> list[str]:
        path = self.results / name
        return path.read_text().split() if path.exists() else []


def own_runner(cloud: LocalCloud, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """Yield a runner on a cloud of the test's own, in a home of its own, whose runs must leave no lease."""
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(folder / "home"))
    yield Runner(cloud, folder)
    with Journal() as journal:
        assert journal.open_leases() == []


@pytest.fixture
def runner(lightning_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    runner = Runner(lightning_cloud, tmp_path)
    yield runner
    with Journal() as journal:
        assert journal.open_leases() == []
    cloud = connect()
    # Only names of this kind of run, because other tests of the session have studios on the same cloud.
    assert [name for name in cloud.studio_names() + cloud.job_names() if name.startswith("engine-test")] == []
