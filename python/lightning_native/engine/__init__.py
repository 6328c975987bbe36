"""The engine: it runs every step of a plan exactly once on Lightning, and releases everything. It knows no ZenML.

::

    from lightning_native import engine
    from lightning_native.engine.plan import RunPlan, StepPlan

    steps = (StepPlan("load", ("python", "load.py")), StepPlan("train", ("python", "train.py"), ("L4",), ("load",)))
    result = engine.run(RunPlan("my-first-run", "digits", steps, placement="job"), root="code")
    print(result.state, result.steps["train"].exit_code)
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_native.engine.execution.run_plan import RunResult
    from lightning_native.engine.plan import RunPlan
    from lightning_native.engine.record.origin import OnTerminate
    from lightning_native.lightning.cloud import Cloud

__all__ = ["run"]


def run(
    plan: "RunPlan",
    root: "str | os.PathLike[str]" = ".",
    *,
    variables: Mapping[str, Mapping[str, str]] | None = None,
    local: bool = False,
    cloud: "Cloud | None" = None,
    on_terminate: "OnTerminate" = "stop",
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> "RunResult":
    """Run a plan to its end, show the steps' output on stderr, and return the result.

    A process of its own drives the run, so that Ctrl-C here stops it in order, and the death of this process does not
    end the run.

    Args:
        plan: any graph of commands; its `run_id` must be new.
        root: the folder of the code, in which the commands run.
        variables: the variables of each step; they may hold secrets.
        local: whether to run on the local cloud; if not, this process has Lightning's credentials in its variables.
        cloud: a cloud on which this process drives the run itself; `lightning_native.lightning.memory` has one for
            tests.
        on_terminate: the effect of a SIGTERM or SIGHUP to this process: `stop` the run as Ctrl-C does, or `detach` from
            it and let it go on.
        environments: the former name of `variables`.

    Raises:
        PlanError: the plan cannot run as it is written; nothing was created.
        CredentialsError: credentials are missing.
        ArchiveError: `root` cannot be packed.
    """
    from lightning_native.engine.execution.run_plan import RunResult, run_plan
    from lightning_native.engine.planning.checks import check_plan
    from lightning_native.engine.process.controller_process import ControllerProcess
    from lightning_native.engine.record.journal import Journal
    from lightning_native.engine.record.origin import Origin
    from lightning_native.engine.record.run_folder import RunFolder
    from lightning_native.errors import PlanError, RunFailedError, RunStoppedError
    from lightning_native.lightning.credentials import Credentials
    from lightning_native.lightning.local import default_root

    if environments is not None:
        warnings.warn("engine.run(environments=…) is now called variables=…", DeprecationWarning, stacklevel=2)
    check_plan(plan)
    environ = {} if local or cloud else Credentials.from_environment(os.environ).environ()
    folder = RunFolder.of(plan.run_id)
    if folder.path.exists():
        raise PlanError(f"there was a run {plan.run_id!r} before; give this one another run_id")
    local_cloud = str(default_root()) if local else None
    origin = Origin(local_cloud=local_cloud, on_terminate=on_terminate)
    folder.write(plan, Path(root).absolute(), variables or environments or {}, origin=origin)
    if cloud is not None:
        with folder.driven(), Journal() as journal:
            return run_plan(folder, cloud=cloud, cloud_name=type(cloud).__name__, journal=journal)
    try:
        ControllerProcess(folder, plan, environ=environ, synchronous=True).wait()
    except (RunFailedError, RunStoppedError) as error:
        message = str(error)
    else:
        message = ""
    with Journal() as journal:
        return RunResult.of(journal, plan.run_id, message)
