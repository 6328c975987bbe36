"""A ZenML schedule's translation: Lightning's schedule has its times, and steps receive its start and end."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_native.errors import PlanError
from lightning_native.zenml.compiler.schedule import interval_cron, lightning_schedule, window_variables
from lightning_native.zenml.step_process import schedule_window


def schedule(**body: Any) -> Any:
    fields = dict.fromkeys(("cron_expression", "interval_second", "start_time", "end_time", "run_once_start_time"))
    return SimpleNamespace(
        name="s",
        id=SimpleNamespace(hex="0123456789abcdef"),
        get_body=lambda: SimpleNamespace(**{**fields, "catchup": False, **body}),
    )


START = datetime(2026, 11, 21, 14, 7, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("interval", "cron"),
    [
        (timedelta(minutes=1), "* * * * *"),
        (timedelta(minutes=15), "7,22,37,52 * * * *"),
        (timedelta(hours=1), "7 * * * *"),
        (timedelta(hours=6), "7 1,7,13,19 * * *"),
        (timedelta(days=1), "7 13 * * *"),
        (timedelta(weeks=1), "7 13 * * 6"),
    ],
)
def test_an_interval_keeps_the_phase_of_its_start(interval: timedelta, cron: str) -> None:
    assert interval_cron("s", interval, START) == cron


@pytest.mark.parametrize(
    "interval", [timedelta(seconds=30), timedelta(minutes=7), timedelta(hours=5), timedelta(days=2)]
)
def test_an_interval_that_no_cron_expression_says_is_refused(interval: timedelta) -> None:
    with pytest.raises(PlanError, match="divide"):
        interval_cron("s", interval, START)


def test_a_time_zone_a_single_time_and_catching_up() -> None:
    assert lightning_schedule(schedule(cron_expression="0 2 * * *"), "Europe/Zurich").timezone == "Europe/Zurich"
    once = lightning_schedule(schedule(run_once_start_time=START), "Europe/Zurich")
    assert (once.cron, once.timezone) == ("7 13 21 11 *", "UTC")
    with pytest.raises(PlanError, match="Europe/Zurich"):
        lightning_schedule(schedule(cron_expression="0 2 * * *"), "Europe/Zürich")
    with pytest.raises(PlanError, match="catchup"):
        lightning_schedule(schedule(cron_expression="0 2 * * *", catchup=True), "UTC")


@pytest.mark.parametrize(
    ("begin", "end", "out"), [(None, -60, True), (60, None, True), (-60, 60, False), (-60, None, False)]
)
def test_a_run_outside_of_its_schedules_start_and_end_does_nothing(
    monkeypatch: pytest.MonkeyPatch, begin: float | None, end: float | None, out: bool
) -> None:
    now = datetime.now(timezone.utc)
    times = {
        name: now + timedelta(seconds=seconds)
        for name, seconds in (("start_time", begin), ("end_time", end))
        if seconds is not None
    }
    for name, value in window_variables(schedule(cron_expression="* * * * *", **times), ()).items():
        monkeypatch.setenv(name, value)
    assert schedule_window.out_of_window() is out
