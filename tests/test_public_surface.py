"""The names that other tools import."""

import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import lightning_native


def test_all_is_sorted_and_complete():
    for name in lightning_native.__all__:
        assert getattr(lightning_native, name) is getattr(lightning_native._native, name)
    public = [
        name
        for name, value in vars(lightning_native).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert lightning_native.__all__ == sorted(public)
    assert lightning_native.__all__ == sorted(lightning_native._native.__all__)


def test_importing_pulls_in_neither_zenml_nor_lightning_sdk_nor_slow_modules():
    code = "import sys; old = set(sys.modules); import lightning_native; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["lightning_native"]


def test_every_name_can_be_listed_and_imported_before_the_native_module_is_loaded():
    code = (
        "import sys, lightning_native as package\n"
        "assert set(package.__all__) <= set(dir(package))\n"
        "assert 'lightning_native._native' not in sys.modules\n"
        "from lightning_native import *\n"
        "print(select_files.__name__, Dag.__name__, package.Dag is Dag)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["select_files", "Dag", "True"]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'select_file'"):
        lightning_native.select_file  # noqa: B018  the access itself fails


@pytest.fixture
def python_part(tmp_path):
    """The package as the machines of steps have it: without the native module."""
    source = Path(lightning_native.__file__).parent
    shutil.copytree(
        source, tmp_path / "part" / "lightning_native", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    return tmp_path / "part"


def test_without_the_native_module_its_names_say_how_to_get_it(python_part):
    code = (
        f"import sys; sys.path.insert(0, {str(python_part)!r}); import lightning_native.errors\n"
        "try:\n    from lightning_native import select_files\nexcept ImportError as error:\n    print(error)\n"
    )
    # Isolated from installed packages, and so as bare as a machine can be.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True)
    assert "lightning_native.select_files needs the native module" in done.stdout
    assert "install lightning-native as a requirement" in done.stdout


def test_an_installed_native_module_serves_the_python_part_that_is_first_on_the_path(python_part):
    first = f"import sys; sys.path.insert(0, {str(python_part)!r})"
    code = f"{first}; from lightning_native import Dag, errors; print(errors.__file__, Dag({{}}).order())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(python_part / "lightning_native" / "errors.py"), "[]"]
