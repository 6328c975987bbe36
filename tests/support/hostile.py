"""A folder of files with the names of modules that we import: each records its import and raises an error."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("yaml", "pydantic", "rich", "requests", "urllib3", "lightning_sdk", "starlette", "uvicorn", "websockets")

# `sys` is safe to import, because Python has imported it before it searches any folder.
_FILE = """
import sys
with open({marks!r}, "a") as marks:
    marks.write(f"{{__name__}} by {{sys.orig_argv}}\\n")
raise ImportError("the user has a file of this name")
"""


class HostileFolder:
    """The files, and the record of their imports."""

    def __init__(self, folder: Path, *, spare: frozenset[str] = frozenset()) -> None:
        self._marks = folder / "imported.txt"
        # The standard modules of this system only, because Python's own code imports other systems' ones if they exist.
        names = [name for name in sys.stdlib_module_names if not name.startswith("_") and find_spec(name)]
        for name in {*names, *_PACKAGES, "lightning_native"} - spare:
            (folder / f"{name}.py").write_text(_FILE.format(marks=str(self._marks)))

    def imported(self) -> list[str]:
        """Return the names of the files that were imported, each with the command that imported it."""
        return self._marks.read_text().splitlines() if self._marks.exists() else []


def imported_by_python_itself() -> frozenset[str]:
    """Return the modules that `python -m` imports before any of our code, which does not run beside such a file."""
    script = "import runpy, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return frozenset(names.split())
