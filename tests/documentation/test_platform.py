"""The list of facts about the platform is that of the suite and of the local cloud's profiles, both ways."""

import re
from pathlib import Path

from lightning_native.conformance.checks import CHECKS
from lightning_native.emulator.state.profile import PARTS

PAGE = Path(__file__).parents[2] / "docs" / "platform.md"
STRENGTHS = {"vendor", "docs", "source", "logs", "notes", "ours"}


def rows() -> list[list[str]]:
    """Return the cells of each fact."""
    found = []
    for table in re.findall(r"^\| Fact \|.*?(?=\n\n|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        found += [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return found


def test_each_check_has_a_fact_and_each_fact_names_checks_that_are_there() -> None:
    named = [name for row in rows() for name in re.findall(r"`([\w-]+)`", row[4])]
    assert sorted(named) == sorted(check.id for check in CHECKS)


def test_each_fact_has_its_evidence_and_strength() -> None:
    assert len(rows()) > 60
    for row in rows():
        assert len(row) == 5, row
        assert all(row), row
        words = re.findall(r"[a-z]+", row[2].partition(":")[0])
        assert set(words) <= STRENGTHS, row
        assert row[4] == "\N{EN DASH}" or row[4].startswith("`"), row


def test_each_part_of_a_profile_has_a_fact_and_no_other() -> None:
    named = {name for row in rows() for name in re.findall(r"`(\w+)`", row[3])}
    assert named - {"strict"} == {part.name for part in PARTS}
