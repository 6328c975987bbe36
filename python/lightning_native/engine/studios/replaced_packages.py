"""A report of the packages in a studio of the user's that an installation has replaced by other versions."""

from shlex import join

from lightning_native.engine.studios.interpreter import Interpreter

_MARK = "replaced here: "
# Programs import the version that is first on the path.
_PROGRAM = """
import json, re, sys
from importlib.metadata import distributions

now = {}
for each in distributions():
    if each.metadata["Name"]:
        now.setdefault(re.sub("[-_.]+", "-", each.metadata["Name"]).lower(), each.version)
if len(sys.argv) < 3:
    print(json.dumps(now))
else:
    for name, version in sorted(json.loads(sys.argv[1]).items()):
        if now.get(name) != version:
            print("%s%s %s by %s" % (sys.argv[2], name, version, now.get(name, "nothing")))
"""


def reporting(install: list[str], interpreter: Interpreter) -> list[str]:
    """Return shell lines that install packages, and print the packages that were replaced.

    Args:
        install: the lines that install.
        interpreter: the interpreter of the environment that they change.
    """
    # With -I, no module from the code's folder is imported. A list that fails does not prevent the installation.
    program = join([interpreter.executable, "-I", "-c", _PROGRAM])
    return [f"before=$({program}) || before='{{}}'", *install, f'{program} "$before" {join([_MARK])} || :']


def replaced_packages(printed: str) -> list[str]:
    """Return the replaced packages from an installation's output, each as `NAME VERSION by VERSION`."""
    return [line.removeprefix(_MARK) for line in printed.splitlines() if line.startswith(_MARK)]
