"""The prose of the code: module docstrings begin with a noun, and sentences that read as translated stay away."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The beginnings of the sentences that were rewritten first, as examples of their kind.
BEFORE = (
    "Wait until the studio is deleted by whom that was promised by",
    "Who asks for a stop waits no longer",
    "Who brings the controller there",
    "as an order: for who runs a graph",
    "and let who asked the next make the next call",
    "so that nobody who writes soon waits for who writes now",
    "How long what a command prints while it is being stopped",
    "What a step does that is told to end while it runs",
    "Starts what ZenML runs in a studio or job",
    "Makes what was added last",
    "What is the same as long as the bytes of a range are",
    "by which times the sum is over the goal",
)
HEADLESS = re.compile(r"(What|How|Who|From|Where|When|Which|Why|Whether)\b")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_module_docstrings_begin_with_what_the_module_is() -> None:
    headless = {}
    for path in tracked("*.py", "*.pyi"):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if HEADLESS.match(text):
            headless[str(path.relative_to(ROOT))] = text.splitlines()[0]
    for path in tracked("*.rs"):
        text = path.read_text().removeprefix("//! ")
        if HEADLESS.match(text):
            headless[str(path.relative_to(ROOT))] = text.splitlines()[0]
    assert headless == {}


def test_no_sentence_of_the_examples_is_left() -> None:
    left = {
        (str(path.relative_to(ROOT)), sentence)
        for path in tracked("*.py", "*.pyi", "*.rs", "*.md")
        if path != Path(__file__)
        for sentence in BEFORE
        if sentence in re.sub(r"\s+(?:#|//[/!]?)?\s*", " ", path.read_text())
    }
    assert left == set()
