"""Each block of Python and YAML in the documentation works as it stands, in a folder with the files that it names."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.workbench import new_zenml

from lightning_native.emulator import LocalCloud
from lightning_native.jobs import load_job
from lightning_native.jobs.step import step_command
from lightning_native.workflow.loader import load_workflow

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>python|yaml)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
# The files of a reader, as far as blocks name them.
FILES = {
    "train.py": "print('trained')",
    "load.py": "print('loaded')",
    "launch.py": "print('launched')",
    "requirements.txt": "scipy",
    "code/load.py": "print('loaded')",
    "code/train.py": "print('trained')",
    "code_dir/train.py": "def main(*arguments, **options): pass",
    "code_dir/my_package/train.py": "def main(*arguments, **options): pass",
    "explore.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
}
# What a block has that is a ZenML pipeline with all that it needs.
COMPLETE = 'if __name__ == "__main__":'
# A workflow of another tool.
NOT_OURS = ("- run: ",)


@dataclass(frozen=True)
class Block:
    """A block of a page, without its indentation."""

    page: str
    line: int
    language: str
    text: str


def blocks() -> list[Block]:
    """Return the blocks of all pages."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        content = page.read_text()
        for match in _BLOCK.finditer(content):
            line = content[: match.start()].count("\n") + 1
            text = textwrap.dedent(match["text"])
            found.append(Block(str(page.relative_to(DOCS)), line, match["language"], text))
    return found


BLOCKS = blocks()
PIPELINES = [block for block in BLOCKS if block.language == "python" and COMPLETE in block.text]
# A dynamic pipeline has no plan.
PLANNED = [block for block in PIPELINES if "dynamic=True" not in block.text]


def parameter(block: Block) -> Any:
    return pytest.param(block, id=f"{block.page}:{block.line}")


@pytest.fixture(scope="module")
def zenml(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of a ZenML whose active stack is on the local cloud, with the secret of the guide."""
    environment = new_zenml(tmp_path_factory.mktemp("zenml"))
    command = [str(Path(sys.executable).parent / "zenml"), "secret", "create", "wandb", "--WANDB_API_KEY=..."]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "block", [parameter(each) for each in BLOCKS if each.language == "python" and each not in PIPELINES]
)
def test_a_block_of_python_runs(block: Block, folder: Path, lightning_cloud: LocalCloud) -> None:
    environ = {**os.environ, **lightning_cloud.environ, "LIGHTNING_NATIVE_HOME": str(folder / "home")}
    if "\ndef test_" in f"\n{block.text}":
        (folder / "test_it.py").write_text(block.text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    else:
        (folder / "it.py").write_text(block.text)
        command = [sys.executable, "it.py"]
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", [parameter(block) for block in PLANNED])
def test_a_pipeline_has_a_plan(block: Block, folder: Path, zenml: dict[str, str]) -> None:
    (folder / "it.py").write_text(block.text)
    command = [sys.executable, "-m", "lightning_native", "plan", "it.py", "--json"]
    result = subprocess.run(command, cwd=folder, env=zenml, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["steps"]


@pytest.mark.spread(5)
@pytest.mark.parametrize("block", [parameter(block) for block in PIPELINES if block not in PLANNED])
def test_a_pipeline_without_a_plan_runs(block: Block, folder: Path, zenml: dict[str, str]) -> None:
    (folder / "it.py").write_text(block.text)
    command = [sys.executable, "it.py"]
    result = subprocess.run(command, cwd=folder, env=zenml, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", [parameter(block) for block in BLOCKS if block.language == "yaml"])
def test_a_block_of_yaml_is_read(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.text.startswith(NOT_OURS):
        pytest.skip("of another tool")
    monkeypatch.chdir(folder)
    path = folder / "it.yaml"
    path.write_text(block.text)
    if "kind: job" in block.text:
        assert load_job(path).runtime is not None
    else:
        environment = {"WANDB_API_KEY": "x"}
        assert load_workflow(path, environment=environment, translate_runtime=step_command).plan.steps


def test_the_blocks_are_found() -> None:
    assert len(BLOCKS) >= 35
    assert len(PIPELINES) >= 9
