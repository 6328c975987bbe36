"""A request to stop a run reaches its controller through ZenML's own store."""

from pathlib import Path

import pytest
from tests.support.workbench import Workbench

pytestmark = pytest.mark.spread(5)

SCRIPT = """
import os
from contextlib import suppress
from pathlib import Path
from zenml import get_step_context, pipeline, step
from zenml.enums import ExecutionStatus
from zenml.orchestrators.publish_utils import publish_pipeline_run_status_update
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish.stop_requests import request_forced_stop, requested_stop, watch_for_stop

@step(enable_cache=False)
def asks() -> None:
    run_id = get_step_context().pipeline_run.id
    print("REQUESTED", requested_stop(run_id))
    publish_pipeline_run_status_update(run_id, ExecutionStatus.STOPPING, status_reason="a person")
    print("REQUESTED", requested_stop(run_id))
    request_forced_stop(run_id)
    print("REQUESTED", requested_stop(run_id))
    folder = RunFolder(Path(os.environ["FOLDER"]))
    watch_for_stop(run_id, folder)
    print("REQUESTED", folder.stop_requested())

@pipeline
def stopping() -> None:
    asks()

if __name__ == "__main__":
    with suppress(Exception):
        stopping()
"""


def test_a_request_in_zenml_is_seen_with_its_kind(workbench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    # A ZenML of its own, whose stack runs the step in this process.
    variables = {"ZENML_CONFIG_PATH": str(tmp_path / "config"), "FOLDER": str(tmp_path / "run")}
    output = workbench.python(SCRIPT, variables)
    lines = [line for line in output.splitlines() if line.startswith("REQUESTED")]
    assert lines == ["REQUESTED no", "REQUESTED graceful", "REQUESTED forced", "REQUESTED forced"]
