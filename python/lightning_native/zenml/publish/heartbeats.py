"""The watch over heartbeats: it abandons steps that send none any more, although their process still exists."""

import threading
import traceback
from uuid import UUID

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import ExecutionStatus, StoreType
from zenml.steps.heartbeat import is_heartbeat_unhealthy

from lightning_native.engine.execution.run_plan import Abandon

_CHECK_SECONDS = 60.0


def watch_heartbeats(pipeline_run: UUID, abandon: Abandon) -> None:
    """Check once a minute, for as long as this process lives; only a ZenML server receives heartbeats."""
    if GlobalConfiguration().store_configuration.type != StoreType.REST:
        return
    never = threading.Event()
    while not never.wait(_CHECK_SECONDS):
        try:
            abandon_silent_steps(pipeline_run, abandon)
        except Exception:
            # A server that does not answer is no evidence about the steps.
            traceback.print_exc()


def abandon_silent_steps(pipeline_run: UUID, abandon: Abandon) -> None:
    """Abandon the running steps whose last heartbeat is older than their pipeline allows."""
    running = Client().list_run_steps(
        pipeline_run_id=pipeline_run, status=ExecutionStatus.RUNNING, exclude_retried=True, size=1000, hydrate=False
    )
    for step in running.items:
        if is_heartbeat_unhealthy(
            step_run_id=step.id,
            status=step.status,
            latest_heartbeat=step.latest_heartbeat,
            start_time=step.start_time,
            heartbeat_threshold=step.heartbeat_threshold,
        ):
            abandon(step.name, f"it has not shown for {step.heartbeat_threshold} minutes that it is alive")
