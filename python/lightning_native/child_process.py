"""Python processes of ours, which import nothing from their working folder.

`python -m` puts that folder first on the path: a `queue.py` of the user's would break us, and a `statistics.py` would
run with our credentials in its variables. The option `-P` would prevent that but needs Python 3.11; `-I` would also
ignore the user's choices: PYTHONPATH, and the packages in the user's own folder.
"""

import os
import sys
import sysconfig
from pathlib import Path

# The empty entry is the working folder; only `sys` is imported before its removal.
_START = (
    "import sys; sys.path[:] = filter(None, sys.path); sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def module_arguments(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the arguments with which any Python runs a module; the caller puts the interpreter before them."""
    return ("-c", _START, module, *arguments)


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this process's interpreter."""
    return [sys.executable, *module_arguments(module, *arguments)]


def end_of_standard_library() -> int:
    """Return the index in `sys.path` after Python's own modules, where the user's code may be inserted."""
    folders = [str(Path(os.__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    own = {*folders, *(f"{folder}/lib-dynload" for folder in folders)}
    return max((number + 1 for number, path in enumerate(sys.path) if path in own), default=0)
