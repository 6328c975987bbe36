"""A report of the packages in a studio of the user's that an installation has replaced by other versions."""

from shlex import join

from lightning_native.engine.studios.interpreter import Interpreter

_MARK = "replaced here: "
# What the path finds first is what programs import.
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
    """Return shell lines that install something, and print what was replaced for it.

    Args:
        install: the lines that install it.
        interpreter: of the environment into which they do.
    """
    # Nothing of the code's folder is imported. What cannot be listed keeps nothing from being installed.
    program = join([interpreter.executable, "-I", "-c", _PROGRAM])
    return [f"before=$({program}) || before='{{}}'", *install, f'{program} "$before" {join([_MARK])} || :']


def replaced_packages(printed: str) -> list[str]:
    """Return what an installation says that it has replaced: `NAME VERSION by VERSION`."""
    return [line.removeprefix(_MARK) for line in printed.splitlines() if line.startswith(_MARK)]
