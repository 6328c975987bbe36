"""The names other tools import."""

import subprocess
import sys
import types

import lightning_native


def test_all_is_sorted_and_complete():
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
    assert done.stdout.split() == ["lightning_native", "lightning_native._native"]
