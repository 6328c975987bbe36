"""What waits while a run goes on, and while it is being stopped."""

import threading

import pytest

from lightning_native.engine import executor
from lightning_native.engine.executor import Cancellation


def test_what_is_being_stopped_is_not_looked_at_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(executor.time, "sleep", slept.append)
    cancellation = Cancellation()
    cancellation.request()
    assert [cancellation.pause(0.3), cancellation.pause(0.4)] == [False, False]
    assert slept == [0.3, 0.4]


def test_a_stop_cuts_the_pause_before_it_short() -> None:
    cancellation = Cancellation()
    threading.Timer(0.01, cancellation.request).start()
    assert cancellation.pause(600.0)
    assert not cancellation.pause(0.0)
