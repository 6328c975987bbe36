"""The page about environment variables has each of ours, and each that it names is in the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "environment-variables.md").read_text()
OURS = re.compile(r"\bLIGHTNING_NATIVE_[A-Z]+(?:_[A-Z]+)*\b")
# The names of Lightning's own variables, which the SDK or a machine has.
LIGHTNINGS = re.compile(r"`(LIGHTNING_(?!NATIVE_)[A-Z_]+)`")


def sources() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "python").rglob("*.py")))


def test_each_variable_of_ours_is_on_the_page_and_each_on_the_page_is_in_the_code() -> None:
    in_code = set(OURS.findall(sources()))
    assert len(in_code) > 20
    assert set(OURS.findall(PAGE)) == in_code


def test_each_variable_of_lightning_on_the_page_is_in_the_code() -> None:
    named = set(LIGHTNINGS.findall(PAGE))
    assert len(named) > 10
    assert [name for name in sorted(named) if f'"{name}"' not in sources()] == []


def test_no_other_page_has_a_table_of_them() -> None:
    tables = re.compile(r"^\| `LIGHTNING_NATIVE_", re.MULTILINE)
    pages = [path.name for path in (ROOT / "docs").rglob("*.md") if tables.search(path.read_text())]
    assert pages == ["environment-variables.md"]
