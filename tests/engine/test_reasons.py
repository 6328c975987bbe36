"""The reason of a failed step in words."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.placements.job_end import is_about_funds
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.reasons import last_traceback
from lightning_native.engine.result import result_of
from lightning_native.jobs.submission import JobResult
from lightning_native.user_input.url_credentials import without_secrets

GIGABYTE = 1 << 30
TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
ValueError: no column 'price' in the table"""
CAUSE = f"""{TRACEBACK}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "train.py", line 5, in <module>
    raise mine.Broken("cannot train") from error
mine.Broken: cannot train
it has two lines"""


def reason(exit_code: int, output: str = "", timed_out: bool = False, **memory: int) -> str:
    peak = memory.pop("peak", 0)
    outcome = Outcome(exit_code, timed_out, False, 1.0, peak, **memory)
    return result_of(StepPlan("a", ("a",), timeout=30), outcome, output=output).message


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("loading\nno such file\n", "; its last line: no such file"),
        (f"loading\n{TRACEBACK}\n", ": ValueError: no column 'price' in the table"),
        (f"{CAUSE}\n\nbye\n", ": mine.Broken: cannot train"),
        # That one was dealt with long before the end.
        (f"{TRACEBACK}\n" + "epoch\n" * 30, "; its last line: epoch"),
        ("Traceback (most recent call last):\n", "; its last line: Traceback (most recent call last):"),
        ("x" * 5000, "; its last line: " + "x" * 300 + "…"),
    ],
)
def test_the_last_words_of_a_command_are_its_reason(output: str, words: str) -> None:
    assert reason(1, output) == f"its command ended with exit code 1{words}"


@pytest.mark.parametrize(
    ("exit_code", "memory", "words"),
    [
        (-signal.SIGKILL, {}, "killed (SIGKILL)"),
        (137, {}, "killed (SIGKILL)"),
        (-signal.SIGKILL, {"peak": GIGABYTE, "memory": 16 * GIGABYTE}, "killed (SIGKILL); it had used 1 of 16 GB"),
        (
            -signal.SIGKILL,
            {"peak": int(14.8 * GIGABYTE), "memory": 16 * GIGABYTE},
            "killed (SIGKILL); it had used 14.8 of 16 GB: most likely out of memory",
        ),
        (
            -signal.SIGKILL,
            {"peak": 2 * GIGABYTE, "memory": 16 * GIGABYTE, "out_of_memory": True},
            "killed (SIGKILL); it had used 2 of 16 GB: most likely out of memory",
        ),
        (-signal.SIGSEGV, {}, "ended by a segmentation fault (SIGSEGV)"),
        (134, {}, "aborted (SIGABRT)"),
        (-signal.SIGUSR1, {}, "ended by SIGUSR1"),
        (-200, {}, "ended by signal 200"),
    ],
)
def test_signals_have_words(exit_code: int, memory: dict[str, int], words: str) -> None:
    assert reason(exit_code, "a line", **memory) == words


def test_a_jobs_end_has_words() -> None:
    assert JobResult("failed", 137).reason() == "killed (SIGKILL)"
    assert JobResult("failed", 124).reason(60.0) == "timed out after 60 s (maximumRuntimeInMinutes)"
    assert JobResult("failed", 124).reason() == JobResult("failed", 3).reason() == ""
    assert JobResult("stopped", None, "out of funds").reason() == "Lightning: out of funds"


def test_a_limit_is_named_with_its_setting() -> None:
    assert reason(-signal.SIGTERM, timed_out=True) == "timed out after 30 s (step_timeout)"


@given(st.integers(-300, 300), st.text())
def test_every_end_has_a_reason_of_one_line(exit_code: int, output: str) -> None:
    if exit_code:
        assert len(reason(exit_code, output).splitlines()) == 1


@given(st.lists(st.sampled_from([*CAUSE.splitlines(), "a line", "  indented", ""])))
def test_a_traceback_is_a_part_of_its_output(lines: list[str]) -> None:
    found = last_traceback("\n".join(lines))
    assert found == "" or found in "\n".join(lines)


def test_a_traceback_has_the_exceptions_that_led_to_it() -> None:
    assert last_traceback(f"before\n{CAUSE}\n\nafter") == CAUSE
    assert last_traceback(f"{TRACEBACK}\nmore\n\n{TRACEBACK}\n") == TRACEBACK
    deep = TRACEBACK.replace("    main()", "    main()\n" * 500)
    assert len(last_traceback(deep).splitlines()) < 100


def test_the_money_of_a_users_program_is_not_the_accounts() -> None:
    assert not is_about_funds(reason(1, "ValueError: insufficient funds"))
    assert is_about_funds("insufficient balance to start the cloud space, top up and try again")


def test_a_reason_has_no_secret() -> None:
    variables = {"TOKEN": "hunter2", "X": "0123456789abcdef0", "DATA": "/a/long/path/of/data", "PASSWORD": "abc"}
    text = "abc hunter2 0123456789abcdef0 /a/long/path/of/data https://me:word@host"
    assert without_secrets(text, variables) == "abc *** *** /a/long/path/of/data https://me:***@host"
