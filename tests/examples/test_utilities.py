"""The tool that lists an upload reports what goes in, what stays here and why, and imports our package alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples.conftest import EXAMPLES

TOOL = EXAMPLES / "utilities" / "what_would_be_uploaded.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Create a checkout with code, data that git ignores, a secret and a cache."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.csv\n")
    (tmp_path / "train.py").write_text("print('trained')\n")
    (tmp_path / "weights.bin").write_bytes(bytes(3_000_000))
    (tmp_path / "data.csv").write_bytes(bytes(9_000_000))
    (tmp_path / ".env").write_text("TOKEN=secret\n")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "train.pyc").write_bytes(b"x")
    return tmp_path


def call(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False, timeout=240)


def test_the_largest_files_come_first_and_what_stays_here_has_its_reason(project: Path) -> None:
    result = call(project)
    assert result.returncode == 0, result.stderr
    goes_in, _, stays = result.stdout.partition("stay here:\n")
    lines = goes_in.splitlines()
    assert lines[0] == "3 files, 3.0 MB; the largest:"
    assert [line.split()[-1] for line in lines[1:]] == ["weights.bin", "train.py", ".gitignore"]
    reasons = dict(line.strip().split("  ", 1) for line in stays.splitlines())
    assert set(reasons) == {".env", ".git/", "__pycache__/", "data.csv"}
    assert ".gitignore:1: *.csv" in reasons["data.csv"]
    assert "built-in rule" in reasons[".env"]


def test_a_path_is_explained(project: Path) -> None:
    result = call(project, "--why", "train.py", "data.csv", "__pycache__/train.pyc")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("train.py: goes in: ")
    assert lines[1] == "data.csv: stays here: .gitignore:1: *.csv"
    assert lines[2].startswith("__pycache__/train.pyc: stays here: built-in rule")
    missing = call(project, "--why", "nothing")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("error: nothing does not exist")


def test_an_upload_that_is_too_large_fails_a_check(project: Path) -> None:
    assert call(project, "--most-mb", "4").returncode == 0
    too_large = call(project, "--most-mb", "2")
    assert too_large.returncode == 1
    assert too_large.stderr == "error: 3.0 MB are more than 2 MB\n"


def test_of_packages_it_imports_ours_alone() -> None:
    tree = ast.parse(TOOL.read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {module for module in modules if module and module not in sys.stdlib_module_names} == {"lightning_native"}
