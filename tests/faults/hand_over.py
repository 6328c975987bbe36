"""A run that is handed over to a controller on Lightning: `python hand_over.py RESULTS BOOT_TIMEOUT`.

The controller is a command that counts its starts, because the launcher does not know what it starts.
"""

import os
import subprocess
import sys
from pathlib import Path

from lightning_native.child_process import python_module
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.controller_location import CONTROLLER_STEP
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.left_over import left_over
from lightning_native.engine.record.origin import Origin
from lightning_native.engine.record.run_folder import RunFolder

LAUNCHER = "lightning_native.zenml.remote_controller.launch"
ARGUMENTS = ("--component", "unknown")
RUN_ID = "handed0over"


def main(results: Path, boot_timeout: float | None) -> int:
    """Hand a run over, print the reason if that fails, and return the launcher's exit code."""
    secrets = {"TOKEN": os.environ.pop("CELL_SECRET")}
    command = f"test -n \"$TOKEN\"; echo x >>'{results}/{CONTROLLER_STEP}'; echo up; sleep 600"
    step = StepPlan(CONTROLLER_STEP, ("sh", "-c", command))
    plan = RunPlan(RUN_ID, "cell controller", (step,), "studio", boot_timeout=boot_timeout)
    inner = RunPlan(RUN_ID, "cell", (StepPlan("a", ("true",)),))
    folder = RunFolder.of(RUN_ID)
    folder.write(
        plan,
        Path.cwd(),
        {CONTROLLER_STEP: secrets},
        origin=Origin((LAUNCHER, *ARGUMENTS)),
        inner=(inner, {"a": secrets}),
    )
    folder.end_submission()
    launcher = [*python_module(LAUNCHER, str(folder.path)), *ARGUMENTS]
    with folder.controller_log.open("wb") as log:
        code = subprocess.run(launcher, check=False, stdout=log, stderr=log).returncode
    with Journal() as journal:
        record = journal.run(RUN_ID)
        print(record.message if record else "no record", left_over(journal, RUN_ID))  # noqa: T201  the result
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
