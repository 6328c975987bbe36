"""A folder of files with the names of modules that we import: each leaves a mark and raises when it is imported."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("yaml", "pydantic", "rich", "requests", "urllib3", "lightning_sdk", "starlette", "uvicorn", "websockets")

# Python has imported `sys` before it looks at any folder.
_FILE = """
import sys
with open({marks!r}, "a") as marks:
    marks.write(f"{{__name__}} by {{sys.orig_argv}}\\n")
raise ImportError("the user has a file of this name")
"""


class HostileFolder:
    """The files, and what was imported of them."""

    def __init__(self, folder: Path, *, spare: frozenset[str] = frozenset()) -> None:
        self._marks = folder / "imported.txt"
        # Of those that other systems have, and Python imports where they are, only a file of the user's is there.
        names = [name for name in sys.stdlib_module_names if not name.startswith("_") and find_spec(name)]
        for name in {*names, *_PACKAGES, "lightning_native"} - spare:
            (folder / f"{name}.py").write_text(_FILE.format(marks=str(self._marks)))

    def imported(self) -> list[str]:
        """Return the names of the files that were imported, and by which command."""
        return self._marks.read_text().splitlines() if self._marks.exists() else []


def imported_by_python_itself() -> frozenset[str]:
    """Return what `python -m` imports before any of our code: with a file of such a name it never reaches us."""
    script = "import runpy, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return frozenset(names.split())
