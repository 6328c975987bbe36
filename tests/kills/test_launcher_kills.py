"""A launcher that is killed while it hands a run over leaves one that `resume` hands over, or that is handed over."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.bench import Bench
from tests.support.killing.points import LAUNCHER, Point

from lightning_native.child_process import python_module
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.controller_location import CONTROLLER_STEP, ControllerLocation
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.run_folder import RunFolder

SITE = Path(__file__).parents[1] / "support" / "killing" / "site"
MODULE = "lightning_native.zenml.remote_controller.launch"
LIMIT = 400.0
RELEASE = """
import sys
from lightning_native.lightning.session import connect

studio = connect().find_studio(sys.argv[1])
assert studio is not None
assert studio.is_running()
studio.release(delete=True)
"""

Record = Callable[[str, object], None]


@pytest.mark.spread(len(LAUNCHER))
@pytest.mark.parametrize("point", [pytest.param(point, id=point.name) for point in LAUNCHER])
def test_a_killed_launcher_leaves_a_run_that_is_handed_over_once(
    point: Point,
    shared: tuple[Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    home, environ = shared
    for name, value in {"LIGHTNING_NATIVE_HOME": str(home), **environ}.items():
        monkeypatch.setenv(name, value)
    bench = Bench(dict(os.environ), environ, tmp_path)
    (tmp_path / "code").mkdir()
    # The controller is a command, because the launcher does not know what it starts.
    step = StepPlan(CONTROLLER_STEP, ("sh", "-c", f"echo x >>'{tmp_path}/ran'; echo up; sleep 600"))
    run_id = f"kill{uuid.uuid4().hex[:12]}"
    inner = RunPlan(run_id, "inner", (StepPlan("a", ("true",)),))
    root = home / "cloud"
    arguments = (MODULE, "--component", "unknown")
    folder = RunFolder.of(run_id)
    folder.write(
        RunPlan(run_id, "kills controller", (step,), "studio"),
        tmp_path / "code",
        {CONTROLLER_STEP: {"TOKEN": "secret"}},
        origin=Origin(arguments, str(root)),
        inner=(inner, {"a": {"TOKEN": "secret"}}),
    )
    folder.end_submission()
    marker = tmp_path / "died"
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    command = [*python_module(MODULE, str(folder.path), "--local-cloud", str(root)), *arguments[1:]]
    subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, **point.variable(marker)}, check=False, timeout=LIMIT
    )
    assert marker.exists(), "the launcher did not come to the point"
    with bench.journal() as journal:
        record = journal.run(run_id)
        leases = sum(lease.released is None for lease in journal.leases(run_id))
    assert record is not None
    assert record.state == "running"
    location = ControllerLocation.read(folder)
    found = f"running{', handed over' if location else ''}, {leases} leases"
    if location is None:
        code, _, errors = bench.call("runs", "resume", run_id)
        assert code == 0, errors
        way = "resume"
    else:
        code, _, errors = bench.call("runs", "resume", run_id)
        assert (code, "is driven by studio" in errors) == (1, True), errors
        way = "gc" if leases or folder.has_secrets() else "was handed over"
    code, _, errors = bench.call("gc", "--local", "--yes")
    assert code == 0, errors
    record_property("kill", (point.name, found, way))
    location = ControllerLocation.read(folder)
    assert location is not None
    # gc leaves the controller alone, which owns its studio now, and removes what the launcher has left here.
    assert (tmp_path / "ran").read_text() == "x\n"
    assert not folder.has_secrets()
    with bench.journal() as journal:
        assert [lease.name for lease in journal.leases(run_id) if lease.released is None] == []
        record = journal.run(run_id)
    assert record is not None
    assert record.state == "running"
    # In another process, because the SDK keeps the address of its first cloud, which is the session's here.
    subprocess.run([sys.executable, "-c", RELEASE, location.studio], check=True)
