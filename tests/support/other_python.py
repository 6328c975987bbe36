"""A local cloud whose machines have another Python than this process."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_native.emulator.host import python_environment

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def other_python() -> tuple[Path, str]:
    """Return an interpreter of another version that this computer has, and its version, such as `3.12.1`."""
    for path in _interpreters():
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"Python (3\.(\d+)\.\d+)$", answer.strip())
        # From 3.9 on, because the installer does not support older versions reliably.
        if version and int(version[2]) >= 9 and int(version[2]) != sys.version_info.minor:
            return path, version[1]
    pytest.skip(f"this computer has no other Python than {OWN}")


def _interpreters() -> Iterator[Path]:
    names = [f"python3.{minor}" for minor in (12, 13, 11, 10, 9) if minor != sys.version_info.minor]
    yield from (Path(found) for name in names if (found := shutil.which(name)))
    # Version managers keep interpreters side by side.
    for name in names:
        yield from sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}"))


def give_machines(root: Path, interpreter: Path) -> Path:
    """Set the interpreter of all new studios of a local cloud that is not running; return their template."""
    template = root / "templates" / python_environment._fingerprint()
    subprocess.run([interpreter, "-m", "venv", "--without-pip", template], check=True, capture_output=True)
    return template
