"""Calls that fail for a while: the number of their repetitions, the pauses, and the failure that counts."""

import time

import pytest

from lightning_native.engine import retry as module
from lightning_native.engine.retry import PATIENTLY, Backoff, Patience, RetryPolicy, best_effort, retry
from lightning_native.errors import (
    AccessRefusedError,
    CloudError,
    OutOfCapacityError,
    RateLimitedError,
    UnreachableError,
)


class Failing:
    """A call that fails a number of times, and then succeeds."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.calls = 0
        self.error = error or CloudError("the network is down")

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return "done"


def test_a_call_is_repeated_after_pauses_that_double_up_to_the_longest():
    pauses: list[float] = []

    assert retry(Failing(5), RetryPolicy(shortest=1.0, longest=5.0), pause=pauses.append) == "done"

    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_last_failure_is_raised_after_as_many_tries_as_the_policy_has():
    call = Failing(9)

    with pytest.raises(CloudError, match="network"):
        retry(call, PATIENTLY, pause=lambda _seconds: None)

    assert call.calls == 4


def test_no_call_is_repeated_after_the_policys_time():
    call = Failing(9)

    with pytest.raises(CloudError):
        retry(call, RetryPolicy(shortest=10.0, seconds=5.0), pause=pytest.fail)

    assert call.calls == 1


@pytest.mark.parametrize("policy", [RetryPolicy(outage_seconds=-1.0), RetryPolicy(seconds=-1.0)])
def test_a_call_that_does_not_get_through_is_repeated_once_however_long_it_took(policy):
    call = Failing(9, UnreachableError("503"))

    with pytest.raises(UnreachableError):
        retry(call, policy, pause=lambda _seconds: None)

    assert call.calls == 2


def test_a_machine_that_cannot_be_had_is_not_asked_for_again():
    call = Failing(1, OutOfCapacityError("no H100"))

    with pytest.raises(OutOfCapacityError):
        retry(call, pause=pytest.fail)


def test_a_call_that_cannot_succeed_any_more_is_not_repeated():
    call = Failing(9)

    with pytest.raises(CloudError):
        retry(call, goes_on=lambda: False, pause=pytest.fail)

    assert call.calls == 1


def test_one_switch_turns_the_pauses_off(monkeypatch):
    monkeypatch.setattr(module, "waits", False)

    assert retry(Failing(3), pause=pytest.fail) == "done"


def test_only_failures_in_a_row_use_patience_up(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    patience = Patience(10.0)

    now = 5.0
    assert not patience.failed(CloudError())
    now = 14.0
    assert not patience.failed(CloudError())
    patience.succeeded()
    now = 20.0
    assert not patience.failed(CloudError())
    now = 30.5
    assert patience.failed(CloudError())


def test_polls_slow_down_while_nothing_happens_and_begin_anew():
    backoff = Backoff(0.1, 0.15)

    delays = [backoff.delay]
    for _ in range(3):
        backoff.grow()
        delays.append(backoff.delay)
    backoff.reset()

    assert delays == pytest.approx([0.1, 0.13, 0.15, 0.15])
    assert backoff.delay == 0.1


def test_what_may_fail_without_harm_tells_whether_it_did():
    assert best_effort(Failing(0))
    assert not best_effort(Failing(1, ValueError("anything")))


def test_a_call_beyond_a_limit_is_no_failure_and_is_repeated_until_lightning_takes_it():
    call = Failing(20, RateLimitedError("slow down"))
    pauses: list[float] = []
    policy = RetryPolicy(shortest=1.0, longest=60.0, tries=2, limit_seconds=None)
    assert retry(call, policy, pause=pauses.append) == "done"
    assert pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_a_call_is_repeated_through_an_outage_that_is_shorter_than_the_patience():
    call = Failing(20, UnreachableError("503"))
    assert retry(call, PATIENTLY, pause=lambda _seconds: None) == "done"


def test_a_pause_is_as_long_as_lightning_asks_for():
    pauses: list[float] = []
    assert retry(Failing(1, RateLimitedError("slow down", 17.0)), pause=pauses.append) == "done"
    assert pauses == [17.0]


@pytest.mark.parametrize(("refusals", "calls"), [(1, 2), (2, 2)])
def test_a_refused_key_is_tried_once_more_and_then_ends_all_patience(refusals: int, calls: int):
    call = Failing(refusals, AccessRefusedError("the key has expired"))
    if refusals == 1:
        assert retry(call, pause=lambda _seconds: None) == "done"
    else:
        with pytest.raises(AccessRefusedError):
            retry(call, pause=lambda _seconds: None)
    assert call.calls == calls


def test_a_second_refusal_of_the_key_in_a_row_ends_the_patience_of_polls():
    patience = Patience()
    refusal = AccessRefusedError("the key has expired")
    assert not patience.failed(refusal)
    patience.succeeded()
    assert not patience.failed(refusal)
    assert patience.failed(refusal)
