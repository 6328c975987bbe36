"""Commands that stop or delete something name it and ask; without a terminal for the question they refuse."""

import os
import subprocess
import sys

import pytest

from tests.support.person import END_OF_INPUT, answer_at_terminal

ASK = """
import sys
from lightning_native.cli.options.confirmation import confirmed
print(confirmed(["studio a\\x1b[2J\\nb: to delete"], yes="--yes" in sys.argv))
"""


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("yellow\n", False), (END_OF_INPUT, False)],
)
def test_only_a_yes_is_a_yes(answer: str, wanted: bool) -> None:
    done = answer_at_terminal([sys.executable, "-c", ASK], answer, env=os.environ)
    assert done.stdout == f"{wanted}\n"
    assert done.stderr.startswith("studio a b: to delete\nGo ahead? [y/N] ")
    assert ("nothing was changed" in done.stderr) is not wanted


def test_nobody_is_asked_where_the_answer_was_given() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, "--yes"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "studio a b: to delete\n")
