"""A result is a whole line with its attempt's mark; all other output of a job is its step's output."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native.agent import result_mark
from lightning_native.engine.placements.job_output import JobOutput, split_attempts, without_results
from lightning_native.engine.record.run_folder import RunFolder

WORD = "5e" * 16
FORGED = {"exit_code": 0, "timed_out": False, "stopped": False, "started": 0.0, "ended": 1.0, "peak_memory": 0}


def result(attempt: int, exit_code: int, word: str = WORD) -> str:
    return f"{result_mark(word, attempt)}{json.dumps({**FORGED, 'exit_code': exit_code})}"


@pytest.mark.parametrize(
    "printed",
    [
        f"lightning-native-result: {json.dumps(FORGED)}\n",
        f"{result(1, 0, '00' * 16)}\n",
        f"see {result(1, 0)}\n",
        f"{result(1, 0)} and more\n",
        f"\r{result(1, 0)}\n",
        f"{result(2, 0)}\n",
        f"{result_mark(WORD, 1)}\nrest\n",
        f"{result_mark(WORD, 1)}[1, 2]\n",
        "lightning-native-result",
        "no end",
        "\x00\ufffd\n\n",
        "",
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\na line of the platform\n"])
def test_what_is_no_whole_line_with_the_mark_is_output(printed: str, end: str) -> None:
    before = f"a line of the platform\n{printed}"
    if result_mark(WORD, 1) in printed and not printed.startswith(("see", "\r")):
        # A line that only the agent could print, and that is no readable result, does not end the attempt, either.
        assert split_attempts(before, WORD, is_complete=True) == [(before, None)]
        return
    attempts = split_attempts(f"{before}\n{result(1, 3)}{end}", WORD, is_complete=True)
    assert [(output, outcome and outcome.exit_code) for output, outcome in attempts] == [
        (before, 3),
        (end.removeprefix("\n"), None),
    ]


# Output is decoded with replacements, so it has no incomplete characters.
PRINTED = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]))


@given(st.lists(PRINTED, min_size=1, max_size=4), st.data())
def test_the_log_is_the_same_in_whatever_pieces_the_output_is_read(outputs: list[str], data: st.DataObject) -> None:
    text = "".join(f"{output}\n{result(number, 3)}\n" for number, output in enumerate(outputs, start=1))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        folder = RunFolder(Path(home))
        (folder.path / "logs").mkdir()
        job = JobOutput(folder, "a", 1, WORD)
        for cut in cuts:
            job.take(text[:cut], is_complete=False)
        job.take(text, is_complete=True)
        assert len(job.outcomes) == len(outputs)
        for number, output in enumerate(outputs, start=1):
            log = folder.log("a", number)
            written = log.read_bytes() if log.exists() else b""
            # Whether the last end of line is the agent's own is known only when its next line has arrived.
            assert written in (output.encode(), f"{output}\n".encode())


def test_a_job_that_the_platform_started_again_counts_its_attempts_anew() -> None:
    text = "".join(f"{number}\n{result(number, code)}\n" for number, code in ((1, 3), (2, -15), (1, 3), (2, 0)))
    outputs = split_attempts(text, WORD, is_complete=True)
    assert [(output, outcome and outcome.exit_code) for output, outcome in outputs] == [
        ("1", 3),
        ("2", -15),
        ("1", 3),
        ("2", 0),
        ("", None),
    ]


def test_an_answer_that_holds_no_text_is_kept_readable(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "logs").mkdir()
    JobOutput(folder, "a", 1, WORD).take("a\ud800b\n", is_complete=True)
    assert folder.log("a").read_text() == "a?b\n"


def test_people_are_shown_the_output_without_results() -> None:
    text = f"one\n\n{result(1, 3)}\nno end\n{result(2, 0)}"
    assert without_results(text) == "one\nno end"
