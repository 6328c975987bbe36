"""Steps that no longer report to ZenML are abandoned."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from zenml.client import Client
from zenml.enums import ExecutionStatus

from lightning_native.zenml.publish.heartbeats import abandon_silent_steps


def test_a_step_is_given_up_when_its_last_heartbeat_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(timezone.utc)

    def step(name: str, ago: int | None, threshold: int | None, started: int = 90) -> SimpleNamespace:
        return SimpleNamespace(
            id=uuid4(),
            name=name,
            status=ExecutionStatus.RUNNING,
            latest_heartbeat=None if ago is None else now - timedelta(minutes=ago),
            start_time=now - timedelta(minutes=started),
            heartbeat_threshold=threshold,
        )

    steps = [step("alive", 1, 30), step("silent", 31, 30), step("never", None, 30), step("switched off", 31, None)]
    asked: dict[str, Any] = {}

    def list_run_steps(_client: Client, **what: Any) -> SimpleNamespace:
        asked.update(what)
        return SimpleNamespace(items=steps)

    monkeypatch.setattr(Client, "list_run_steps", list_run_steps)
    run, abandoned = uuid4(), {}
    abandon_silent_steps(run, abandoned.__setitem__)
    reason = "it has not shown for 30 minutes that it is alive"
    assert abandoned == {"silent": reason, "never": reason}
    assert asked["pipeline_run_id"] == run
