"""A submission that dies at its n-th operation on a path below the home: `python dying_submission.py N CODE_FOLDER`.

The operations are open, mkdir, rename, link and chmod. After the last one it prints `written`, and dies too.
"""

import os
import signal
import sys
from pathlib import Path

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.record.run_folder import RunFolder

moment, home = int(sys.argv[1]), os.environ["LIGHTNING_NATIVE_HOME"]
seen = 0


def count(event: str, arguments: tuple[object, ...]) -> None:
    global seen  # noqa: PLW0603  an audit hook has no other place
    if event in ("open", "os.mkdir", "os.rename", "os.link", "os.chmod") and str(arguments[0]).startswith(home + "/"):
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(count)
plan = RunPlan("run", "name", (StepPlan("a", ("true",)),), placement="job")
RunFolder.of("run").write(plan, Path(sys.argv[2]), {"a": {"TOKEN": "s3cr3t-t0ken"}})
print("written", flush=True)  # noqa: T201  the result
os.kill(os.getpid(), signal.SIGKILL)
