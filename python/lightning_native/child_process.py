"""Python processes of ours, and what they import: nothing from the folder that they are started in.

`python -m` puts that folder first on the path: a `queue.py` of the user's would break us, and a `statistics.py` would
run with the credentials in our environment. The option `-P` against it needs Python 3.11, and `-I` would also
ignore what the user chose: PYTHONPATH, and the packages in the user's own folder.
"""

import os
import sys
import sysconfig
from pathlib import Path

# The empty entry stands for the working folder. Nothing but `sys` is there before it is gone.
_START = (
    "import sys; sys.path[:] = filter(None, sys.path); sys.argv.pop(0); "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def module_arguments(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the arguments with which any Python runs a module, for a command that names its interpreter itself."""
    return ("-c", _START, module, *arguments)


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with the interpreter that runs this."""
    return [sys.executable, *module_arguments(module, *arguments)]


def end_of_standard_library() -> int:
    """Return where on the path Python's own modules end: the user's code is found from there on."""
    folders = [str(Path(os.__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    own = {*folders, *(f"{folder}/lib-dynload" for folder in folders)}
    return max((number + 1 for number, path in enumerate(sys.path) if path in own), default=0)
