"""A folder of files that are called as the modules that we import: each leaves a mark and raises when it is."""

import subprocess
import sys
from pathlib import Path

_PACKAGES = ("yaml", "pydantic", "rich", "requests", "urllib3", "lightning_sdk", "starlette", "uvicorn", "websockets")


class HostileFolder:
    """The files, and what was imported of them."""

    def __init__(self, folder: Path, *, spare: frozenset[str] = frozenset()) -> None:
        self._marks = folder / "imported.txt"
        names = [name for name in sys.stdlib_module_names if not name.startswith("_")]
        for name in {*names, *_PACKAGES, "lightning_native"} - spare:
            leave = f"open({str(self._marks)!r}, 'a').write(__name__ + '\\n')"
            (folder / f"{name}.py").write_text(f"{leave}\nraise ImportError('the user has a file of this name')\n")

    def imported(self) -> list[str]:
        """Return the names of the files that were imported."""
        return self._marks.read_text().split() if self._marks.exists() else []


def imported_by_python_itself() -> frozenset[str]:
    """Return what `python -m` imports before any of our code: with a file of such a name it never reaches us."""
    script = "import runpy, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return frozenset(names.split())
