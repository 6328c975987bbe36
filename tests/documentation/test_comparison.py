"""The tables beside other orchestrators name existing tests for each of our claims."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = list((ROOT / "tests").rglob("test_*.py"))
TESTS = {path.stem for path in FILES} | set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in FILES)))


@pytest.mark.parametrize("document", ["README.md", "docs/reference/comparison.md"])
def test_each_tick_of_ours_names_a_test_that_is_there(document: str) -> None:
    text = (ROOT / document).read_text()
    table = text[text.index("| | here | proved by |") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) > 8
    for line in table:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert "\N{EN DASH}" not in cells[1], f"others have more: {line}"
        named = re.findall(r"`(\w+)`", cells[2])
        assert named or cells[2] == "all of them", line
        assert set(named) <= TESTS, line
