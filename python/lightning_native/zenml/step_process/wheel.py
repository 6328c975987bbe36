"""The user's code as a wheel: installed and on the path."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from zenml.utils import source_utils

from lightning_native.child_process import end_of_standard_library, python_module

_INSTALLED = "site-packages"


def enter_wheel(folder: Path) -> Path:
    """Make the wheel in a folder importable, installed in a `site-packages` of its own; return its package's folder.

    It is beside the environment, so that runs of different code in one studio do not overwrite each other's.

    Raises:
        RuntimeError: it cannot be installed.
    """
    (wheel,) = folder.glob("*.whl")
    installed = folder / _INSTALLED
    if not installed.is_dir():
        _install(wheel, installed)
    project = installed / wheel.name.split("-")[0]
    paths = [str(project), str(installed)]
    end = end_of_standard_library()
    sys.path[end:end] = paths
    # For Python processes that the code starts itself.
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    source_utils.set_custom_source_root(str(project))
    return project


def _install(wheel: Path, destination: Path) -> None:
    """Install a wheel, atomically: other steps may do the same at the same time."""
    uv = shutil.which("uv")
    pip = [*python_module("pip"), "install", "--disable-pip-version-check", "--no-compile"]
    installer = [uv, "pip", "install", "--python", sys.executable, "--no-cache", "--link-mode", "copy"] if uv else pip
    partial = tempfile.mkdtemp(prefix=".install-", dir=destination.parent)
    try:
        command = [*installer, "--quiet", "--no-deps", "--no-index", "--target", partial, str(wheel)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{wheel.name} cannot be installed: {(result.stderr or result.stdout).strip()}")
        try:
            Path(partial).rename(destination)
        except OSError:
            if not destination.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
