"""The table of the examples has each of them, with a command that exists, and each of them has a test."""

import re
import shlex
from pathlib import Path

import pytest
from tests.examples.conftest import EXAMPLES

ROWS = re.findall(r"^\| \[.+?\]\((\S+)\) \|.*\| `(.+?)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
TESTS = {
    # Where an example is not tested by the file of its name beside this one.
    "from_zenml_lightning": "tests/zenml/test_moving_over.py",
    "jobs": "tests/cli/test_job.py",
    "workflow.yaml": "tests/examples/test_workflow.py",
}


def entries() -> list[str]:
    return sorted(path.name for path in EXAMPLES.iterdir() if path.name not in ("README.md", "__pycache__"))


def test_the_table_has_every_example() -> None:
    assert sorted({Path(link).parts[0] for link, _ in ROWS}) == entries()
    assert [link for link, _ in ROWS if not (EXAMPLES / link).exists()] == []


@pytest.mark.parametrize("command", [command for _, command in ROWS])
def test_the_command_of_an_example_names_files_that_exist(command: str) -> None:
    (path, *_) = [word for word in shlex.split(command) if word.startswith("examples/")]
    assert (EXAMPLES.parent / path).exists()


@pytest.mark.parametrize("name", entries())
def test_each_example_has_a_test(name: str) -> None:
    test = EXAMPLES.parent / TESTS.get(name, f"tests/examples/test_{name}.py")
    assert name.removesuffix(".yaml") in test.read_text()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.py")), ids=lambda path: path.stem)
def test_a_script_of_zenml_begins_with_how_it_is_run(path: Path) -> None:
    text = path.read_text()
    if "@pipeline" in text and path.parent.name != "from_zenml_lightning":
        introduction = text.split('"""')[1]
        assert f"python {path.relative_to(EXAMPLES.parent)}" in introduction
        assert "lightning-native init --local " in introduction
