"""The main function: runs the job that LIGHTNING_NATIVE_JOB describes, by its kind."""

from __future__ import annotations

import json
import os
import signal
import sys

from .code import base_name, code_root, enter, extend_path, find_entry, paths, unpacked_code, words
from .distributed import install, launch
from .errors import DriverError, say
from .execution import call, run_executable, run_function, run_path
from .notebook import execute_notebook
from .repository import clone, repository_name
from .transfer import copy_output, fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def main() -> int:
    # A time limit or a stop sends SIGTERM first, so that `finally` blocks can save the output.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    description = json.loads(os.environ["LIGHTNING_NATIVE_JOB"])
    runtime = description["spec"]["runtime"]
    # An empty value counts as missing.
    spec = {key: value for key, value in (runtime.get("spec") or {}).items() if value not in (None, "", [], {})}
    try:
        return KINDS[runtime["type"]](spec)
    except DriverError as error:
        say(str(error))
        return 1


def run_script(spec: Mapping[str, Any]) -> int:
    code = unpacked_code(spec["scriptPathURI"])
    name = base_name(spec["scriptPathURI"])
    path = find_entry(code, name, spec.get("entrypoint"))
    os.chdir(os.path.dirname(path) if "entrypoint" not in spec else code_root(code, name))
    if path.endswith(".py"):
        return call([sys.executable, "-u", path, *words(spec.get("args"))])
    return run_executable(path, words(spec.get("args")))


def run_python(spec: Mapping[str, Any]) -> int:
    code = unpacked_code(spec["scriptPathURI"])
    name = base_name(spec["scriptPathURI"])
    entrypoint = spec.get("entrypoint") or name
    # Both are tried, because people leave out the name of the folder.
    return run_code(spec, code, entrypoint, os.path.join(code_root(code, name), entrypoint))


def run_git(spec: Mapping[str, Any]) -> int:
    code = clone(spec, os.environ.get("CODE_DIR") or os.path.join("~", "Code", repository_name(spec["url"])))
    # Relative to the repository, whatever the working folder is.
    return run_code(spec, code, os.path.join(code, spec["entrypoint"]))


def run_code(spec: Mapping[str, Any], code: str, *entrypoints: str) -> int:
    """Run the first entrypoint that exists."""
    enter(code, spec)
    extend_path(code, spec)
    path = next((os.path.abspath(path) for path in entrypoints if os.path.exists(path)), None)
    if path is None:
        raise DriverError(f"the entrypoint {entrypoints[0]} is not there; name it relative to {os.getcwd()}")
    try:
        if spec.get("entryFunction"):
            return run_function(path, spec["entryFunction"], words(spec.get("args")))
        if path.endswith(".ipynb"):
            return execute_notebook(path, spec)
        if path.endswith((".py", ".zip")) or os.path.isdir(path):
            return run_path(path, words(spec.get("args")))
        return run_executable(path, words(spec.get("args")))
    finally:
        copy_output(spec.get("outputDir"), spec.get("outputUri"))


def run_notebook(spec: Mapping[str, Any]) -> int:
    if spec.get("source") and spec.get("entrypoint"):
        code = unpacked_code(spec["source"])
        path = find_entry(code, base_name(spec["source"]), spec["entrypoint"])
    else:
        code = unpacked_code(spec["notebookPathURI"])
        path = os.path.join(code, base_name(spec["notebookPathURI"]))
    try:
        return execute_notebook(path, spec)
    finally:
        copy_output(os.path.dirname(path), spec.get("outputUri"))


def run_distributed(spec: Mapping[str, Any]) -> int:
    if spec.get("git"):
        git = spec["git"]
        code = clone(git, os.environ.get("CODE_DIR") or os.path.join("~", "Code", repository_name(git["url"])))
    else:
        code = unpacked_code(spec["scriptPathURI"])
    enter(code, spec)
    # Installed before the user's folders are on the path of child processes.
    install(spec.get("dependencies") or {})
    folders = [os.getcwd(), *map(os.path.abspath, paths(spec.get("pythonPath"))), code]
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    for uri, path in (spec.get("inputs") or {}).items():
        fetch(uri, path)
    try:
        return launch(spec)
    finally:
        copy_output(spec.get("outputDir"), spec.get("outputUri"))


KINDS = {
    "script": run_script,
    "python": run_python,
    "notebook": run_notebook,
    "gitPython": run_git,
    "pyTorchDistributed": run_distributed,
}
