"""The help of every command and the answers to mistakes are as `*.txt` here; `UPDATE_TEXTS=1` writes them anew."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.actions import actions

from lightning_native.cli import COMMANDS, main

TEXTS = Path(__file__).parent
CYCLE = '{"a": ["b"], "b": ["a"]}'
WORKFLOW = "name: w\nsteps:\n  a: {comand: x}\n  b: {command: x, needs: c}\n"
# Each is a mistake that people make, by the command line.
MISTAKES = (
    (),
    ("rnu",),
    ("frobnicate",),
    ("--versoin",),
    ("run",),
    ("run", "missing.yaml"),
    ("run", "wrong.yaml", "--local"),
    ("run", "wrong.yaml", "--locl"),
    ("run", "binary", "--local"),
    ("plan", "wrong.yaml", "--local"),
    ("plan", "w.yaml", "--set", "x"),
    ("runs", "shwo", "x"),
    ("runs", "show"),
    ("runs", "show", "last"),
    ("runs", "--jsno"),
    ("runs", "--since", "yesterday"),
    ("runs", "compare", "a"),
    ("runs", "prune"),
    ("runs", "costs", "--days", "-1"),
    ("runs", "costs", "--csv", "--json"),
    ("job", "run", "missing.yaml"),
    ("job", "convert", "wrong.yaml", "--to", "aws"),
    ("budget", "set", "x", "--monthly", "no"),
    ("schedules", "pause"),
    ("gc", "--older-than", "never"),
    ("dag", "cycle.json"),
    ("dag", "missing.json"),
    ("requirements", "conflict.txt"),
    ("requirements", "missing.txt"),
    ("name",),
    ("archive", "missing"),
    ("archive", ".", "--level", "13"),
    ("extract", "missing.tar.gz", "to"),
    ("extract", "binary", "to"),
    ("emulator", "--port", "x"),
    ("emulator", "env"),
    ("demo", "--script", "missing.py"),
)
pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help by its version")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("LIGHTNING_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("wrong.yaml").write_text(WORKFLOW)
    Path("w.yaml").write_text("name: w\nsteps:\n  a: {command: x}\n")
    Path("binary").write_bytes(bytes(range(256)))
    Path("cycle.json").write_text(CYCLE)
    Path("conflict.txt").write_text("numpy<1\nnumpy>2\n")
    return tmp_path


def spoken(capsys: pytest.CaptureFixture[str], place: Path, *arguments: str) -> str:
    """Return what a command line prints, and its exit code."""
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    printed = capsys.readouterr()
    text = (printed.out + printed.err).replace(str(place), "PLACE")
    words = " ".join(("lightning-native", *arguments))
    return f"$ {words}\n{text.rstrip()}\n[{code}]\n"


def paths() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and action."""
    yield ()
    seen = dict.fromkeys((command,) for command in COMMANDS)
    for action in actions():
        seen.update(dict.fromkeys(action.path[:count] for count in range(1, len(action.path) + 1)))
    yield from sorted(seen)


def check(name: str, text: str) -> None:
    path = TEXTS / name
    if os.environ.get("UPDATE_TEXTS"):
        path.write_text(text)
    assert text.split("\n\n$ ") == path.read_text().split("\n\n$ "), "write the texts anew with UPDATE_TEXTS=1"


def test_help_is_as_it_was_read_last(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    for command in COMMANDS:
        importlib.import_module(f"lightning_native.cli.{command}")
    check("help.txt", "\n".join(spoken(capsys, place, *path, "--help") for path in paths()))


def test_no_line_of_help_is_wider_than_a_terminal() -> None:
    wide = [
        line
        for line in (TEXTS / "help.txt").read_text().splitlines()
        if len(line) > 80 and "lightning-native" not in line
    ]
    assert wide == []


def test_mistakes_are_answered_as_it_was_read_last(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    text = "\n".join(spoken(capsys, place, *mistake) for mistake in MISTAKES)
    check("mistakes.txt", text)


def test_an_answer_to_a_mistake_has_no_name_of_python(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    for mistake in MISTAKES:
        answer = spoken(capsys, place, *mistake)
        assert not any(word in answer for word in ("Traceback", "Errno", "argparse", "Namespace", "NoneType")), answer
        assert answer.endswith(("[1]\n", "[2]\n"))


WITHOUT_EXTRAS = """
import subprocess
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("yaml", "pydantic", "lightning_sdk", "zenml", "rich", "argcomplete", "uvicorn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from lightning_native.cli import COMMANDS, main
for command in COMMANDS:
    try:
        main([command, "--help"])
    except SystemExit as end:
        assert not end.code, command
assert main(["run", "x"]) == 1
"""


def test_help_needs_no_extras_and_the_command_names_its_own() -> None:
    result = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("usage: ") == len(COMMANDS)
    assert result.stderr.endswith("hint: install it with: pip install 'lightning-native[engine]'\n")
