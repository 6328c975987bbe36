"""The page about the Python API has all public names, as the site's hook renders them from the code."""

import importlib
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "python-api.md"
MODULES = ("", ".engine", ".emulator", ".jobs", ".jobs.lightning", ".jobs.oci")


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rendered(hooks: ModuleType) -> str:
    text: str = hooks.with_api(PAGE.read_text())
    return text


def test_nothing_is_left_to_render(rendered: str) -> None:
    assert re.findall(r"^:::.*", rendered, re.MULTILINE) == []
    assert re.findall(r"^#+ `[\w.]+`\n\n```python\n.*?```\n\n\n", rendered, re.MULTILINE | re.DOTALL) == []


@pytest.mark.parametrize("suffix", MODULES)
def test_each_public_name_has_a_heading(rendered: str, suffix: str) -> None:
    module = importlib.import_module(f"lightning_native{suffix}")
    headings = set(re.findall(r"^### `(\w+)`", rendered, re.MULTILINE))
    names = {name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)}
    assert names - headings == set()


def test_each_error_has_a_heading(rendered: str) -> None:
    errors = importlib.import_module("lightning_native.errors")
    names = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert names - set(re.findall(r"^### `(\w+)`", rendered, re.MULTILINE)) == set()


def test_signatures_and_sections_of_docstrings_are_there(rendered: str) -> None:
    assert "def create_archive(\n    root: _Path,\n    destination: _Path," in rendered
    assert "- `files`, `list[str]`: Files and symbolic links that go in" in rendered
    assert "\n**Args**\n\n- `root`: the folder; `select_files` decides" in rendered
    assert "class StepPlan\n    name: str\n    argv: tuple[str, ...]\n    machines: tuple[str, ...] = ()" in rendered
    assert "#### `PythonRuntime.with_entrypoint`" in rendered
