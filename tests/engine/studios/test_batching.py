"""Requests of many threads travel in few calls, and each gets its own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lightning_native.engine.studios.batching import Batcher


@pytest.mark.parametrize("calls_at_once", [1, 3])
def test_each_asker_gets_its_answer_and_no_call_is_too_large_or_one_too_many(calls_at_once: int) -> None:
    lock = threading.Lock()
    under_way = most = 0
    sizes: list[int] = []

    def call(questions: Sequence[int]) -> list[int]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            sizes.append(len(questions))
        answers = [question * 2 for question in questions]
        with lock:
            under_way -= 1
        return answers

    together = Batcher(call, calls_at_once=calls_at_once, largest=8, gather_seconds=0.001)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(together.ask, range(2000))) == [number * 2 for number in range(2000)]
    assert most <= calls_at_once
    assert max(sizes) <= 8
    assert sum(sizes) == 2000
    # No thread still has the role of a sender.
    assert together.ask(4) == 8


def test_a_call_that_fails_fails_for_all_who_were_part_of_it_and_for_nobody_else() -> None:
    begun, go_on = threading.Event(), threading.Event()
    calls: list[list[str]] = []

    def call(questions: Sequence[str]) -> list[str]:
        calls.append(sorted(questions))
        begun.set()
        assert go_on.wait(10)
        if "bad" in questions:
            raise ValueError("bad")
        return list(questions)

    together = Batcher(call, calls_at_once=1, largest=8)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.ask, "first")
        assert begun.wait(10)
        others = [pool.submit(together.ask, question) for question in ("bad", "neighbour")]
        while len(together._waiting) < 2:
            pass
        go_on.set()
        assert first.result(10) == "first"
        for other in others:
            with pytest.raises(ValueError, match="bad"):
                other.result(10)
    assert calls == [["first"], ["bad", "neighbour"]]
    assert together.ask("later") == "later"
