"""An environment with our wheel, which every user of this computer can run (`make test-moving` builds the wheel)."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

WHEELS = Path(__file__).parents[2] / ".moving"
# No account has this number.
NOBODY = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every user can read, because those of pytest are for its user only."""
    with tempfile.TemporaryDirectory(prefix="lightning-native-moving-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def installed(folder: Path) -> Path:
    """The Python of an environment with our wheel, which every user of this computer can run."""
    base = next(
        (each for each in (os.path.realpath(sys.executable), "/usr/bin/python3") if _runs_for_anybody(each)), None
    )
    if base is None:
        pytest.skip("no Python here that an ordinary user can run")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", base, folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = WHEELS.glob("*.whl")
    requirements = [f"{wheel}[demo]", "pytest"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
    return python


def _runs_for_anybody(python: str) -> bool:
    # The shell opens the interpreter, because `setpriv` itself would still open it with the rights of root.
    probe = [*NOBODY, "sh", "-c", '"$0" -c "import sys; sys.exit(sys.version_info < (3, 11))"', python]
    return subprocess.run(probe, check=False, capture_output=True, cwd="/").returncode == 0
