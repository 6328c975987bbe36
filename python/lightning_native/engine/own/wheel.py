"""The wheel of the running version, for a controller on Lightning's machines.

It is the wheel that the user names, if any. Otherwise it is built from the files installed here, if they are for Linux
on x86_64, so that no package index is asked. On another platform it comes from the index that this version was
installed from.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from lightning_native.child_process import python_module
from lightning_native.engine.own.running_package import RunningPackage, running_package
from lightning_native.engine.own.shared_library import OtherPlatformError
from lightning_native.engine.own.wheel_file import check_wheel, write_wheel
from lightning_native.errors import PlanError

ENV_WHEEL = "LIGHTNING_NATIVE_WHEEL"
# The index may have a wheel for any of these. The machine's installer refuses one that needs a newer glibc.
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (17, *range(24, 40))]
_DOWNLOAD = ["download", "--no-deps", "--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]
_SHOWN_LINES = 5
_DOWNLOAD_SECONDS = 300.0


def own_wheel(folder: Path) -> Path:
    """Write the wheel of the running version, for Linux on x86_64, into a folder, and return its path.

    Raises:
        PlanError: there is none, or the installation is damaged; the message names the remedy.
    """
    running = running_package()
    named = os.environ.get(ENV_WHEEL)
    if named:
        return _copied(Path(named).expanduser(), running, folder)
    try:
        return write_wheel(running, folder)
    except OtherPlatformError as error:
        return _of_another_platform(running, folder, str(error))


def _copied(path: Path, running: RunningPackage, folder: Path) -> Path:
    if not path.is_file():
        raise PlanError(f"{ENV_WHEEL} names {path}, where there is no file; name a wheel of lightning-native")
    copy = folder / path.name
    shutil.copyfile(path, copy)
    copy.chmod(0o600)
    try:
        check_wheel(copy, running)
    except PlanError as error:
        copy.unlink()
        raise PlanError(f"{ENV_WHEEL} names what cannot be used: {error}".replace(str(copy), str(path))) from None
    return copy


def _of_another_platform(running: RunningPackage, folder: Path, problem: str) -> Path:
    needed = (
        f"a controller on Lightning needs a wheel of lightning-native {running.version} for Linux on x86_64, and what "
        f"is installed here ({platform.system()} on {platform.machine()}) is {problem}"
    )
    then = f"and set {ENV_WHEEL} to the file"
    if not running.from_index:
        source = running.checkout or "CHECKOUT"
        raise PlanError(
            f"{needed}; build one of the same source: docker run --rm --platform linux/amd64 -v {source}:/io "
            f"ghcr.io/pyo3/maturin build --release --out dist, {then} in {source}/dist"
        )
    command = [*_DOWNLOAD, *(f"--platform={name}" for name in _PLATFORMS), f"lightning-native=={running.version}"]
    pip = _pip()
    by_hand = f"get one with: pip {' '.join([*_DOWNLOAD, f'--platform={_PLATFORMS[0]}', command[-1]])}, {then}"
    if pip is None:
        raise PlanError(f"{needed}; there is no pip here to ask the package index: {by_hand}")
    with tempfile.TemporaryDirectory(prefix="lightning-native-wheel-") as downloads:
        try:
            result = subprocess.run(
                [*pip, *command, "--quiet", "--disable-pip-version-check", "--no-input", f"--dest={downloads}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_DOWNLOAD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise PlanError(f"{needed}; the package index did not answer: {by_hand}") from None
        wheels = list(Path(downloads).glob("*.whl"))
        if result.returncode != 0 or len(wheels) != 1:
            tail = "\n".join(result.stderr.strip().splitlines()[-_SHOWN_LINES:])
            raise PlanError(f"{needed}; the package index has none: {by_hand}\n{tail}")
        try:
            check_wheel(wheels[0], running)
        except PlanError as error:
            raise PlanError(f"{needed}; what the package index has cannot be trusted: {error}") from None
        copy = folder / wheels[0].name
        shutil.copyfile(wheels[0], copy)
        copy.chmod(0o600)
        return copy


def _pip() -> list[str] | None:
    try:
        # By its metadata, because a search for its module changes this process's imports if setuptools is installed.
        importlib.metadata.distribution("pip")
    except importlib.metadata.PackageNotFoundError:
        # Environments that uv created have no pip.
        uv = shutil.which("uv")
        return [uv, "tool", "run", "pip"] if uv else None
    return python_module("pip")
