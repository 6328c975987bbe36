"""The start and end of a schedule, which Lightning's schedules do not have: each run checks them itself."""

import json
import os
import time

from lightning_native.zenml.variables import ENV_PIPELINE_ID, ENV_WINDOW


def out_of_window() -> bool:
    """Return whether this process is a step of a scheduled run outside of its schedule's start and end."""
    if ENV_WINDOW not in os.environ:
        return False
    begin, end, first = json.loads(os.environ[ENV_WINDOW])
    if first:
        now = time.time()
        return (begin is not None and now < begin) or (end is not None and now > end)
    from zenml.client import Client

    return not Client().list_pipeline_runs(orchestrator_run_id=os.environ[ENV_PIPELINE_ID], size=1).total
