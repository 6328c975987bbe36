"""Waits of a run, and their end when the run is stopped."""

import threading

import pytest

from lightning_native.engine import cancellation as module
from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.studios.single_flight import SingleFlight


def test_what_is_being_stopped_is_not_looked_at_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    cancellation = Cancellation()
    cancellation.request()
    assert [cancellation.pause(0.3), cancellation.pause(0.4)] == [False, False]
    assert slept == [0.3, 0.4]


def test_a_stop_cuts_the_pause_before_it_short() -> None:
    class Stopped(Cancellation):
        def wait(self, seconds: float) -> bool:
            self.request()
            return super().wait(seconds)

    cancellation = Stopped()
    assert cancellation.pause(600.0)
    assert not cancellation.pause(0.0)


def test_what_waits_for_something_that_is_being_prepared_hears_of_a_stop() -> None:
    cancellation, release, ended = Cancellation(), threading.Event(), []
    prepared = SingleFlight("any", lambda: ended.append(release.wait(60.0)), cancellation)
    threading.Timer(0.01, cancellation.request).start()
    with pytest.raises(Cancelled):
        prepared.wait()
    assert not ended
    release.set()


def test_a_stop_before_anybody_listens_is_heard_by_who_listens_later() -> None:
    cancellation, heard = Cancellation(), []
    cancellation.request()
    cancellation.on_request(lambda: heard.append("late"))
    assert heard == ["late"]
