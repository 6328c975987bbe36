"""Ways to run code: a script or a function in this process, a program in one of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pkgutil  # noqa: F401  runpy imports it late, when the user's folder comes first
import runpy
import signal
import subprocess
import sys
import traceback

from .errors import DriverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


# Without the working folder on its path, because that has the user's files.
RUN_PIP = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
PIP = [sys.executable, "-c", RUN_PIP]


def run_path(path: str, arguments: list[str]) -> int:
    sys.argv = [path, *arguments]
    return exit_code_of(lambda: runpy.run_path(path, run_name="__main__"), path)


def run_function(path: str, name: str, arguments: list[str]) -> int:
    positional, options = arguments_of_function(arguments)
    sys.argv = [path, *arguments]

    def run() -> None:
        module_spec = importlib.util.spec_from_file_location("module", path)
        if module_spec is None or module_spec.loader is None:
            raise DriverError(f"{path} is no Python module")
        module = importlib.util.module_from_spec(module_spec)
        sys.modules["module"] = module
        module_spec.loader.exec_module(module)
        if not hasattr(module, name):
            raise DriverError(f"{path} has no function {name}")
        getattr(module, name)(*positional, **options)

    return exit_code_of(run, path)


def arguments_of_function(arguments: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """Return positional and keyword arguments: `--name value` is a keyword one, `--name` alone has the value None."""
    positional: list[str] = []
    options: dict[str, str | None] = {}
    name = None
    for argument in arguments:
        if len(argument) > 2 and argument.startswith("--"):
            name = argument[2:]
            options[name] = None
        elif name:
            options[name] = argument
            name = None
        else:
            positional.append(argument)
    return positional, options


def run_beside(run: Callable[[], object], path: str) -> None:
    """Run code with its file's folder first on the path, as `python path` does, and last afterwards."""
    if not os.path.isfile(path):
        run()
        return
    folder = os.path.dirname(path)
    sys.path.insert(0, folder)
    try:
        run()
    finally:
        # Last from here on, so that our own imports never find the user's files.
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        sys.path.append(folder)


def exit_code_of(run: Callable[[], object], path: str) -> int:
    """Run code in this process, and return the exit code with which Python would end."""
    try:
        run_beside(run, path)
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return exit_.code or 0
        print(exit_.code, file=sys.stderr)
        return 1
    except DriverError:
        raise
    except BaseException as error:
        # The traceback begins at the user's code, because the frames above are ours.
        trace = error.__traceback__
        while trace is not None and os.path.abspath(trace.tb_frame.f_code.co_filename) != os.path.abspath(path):
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace or error.__traceback__)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    finally:
        sys.stdout.flush()
    return 0


def run_executable(path: str, arguments: list[str]) -> int:
    with contextlib.suppress(OSError):
        os.chmod(path, os.stat(path).st_mode | 0o100)
    with open(path, "rb") as script:
        has_interpreter = script.read(4).startswith((b"#!", b"\x7fELF"))
    return call([path, *arguments] if has_interpreter else ["bash", path, *arguments])


def call(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command, and return its exit code as a shell does."""
    try:
        process = subprocess.Popen(argv, env=environment)
    except OSError as error:
        raise DriverError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        return shell_code(process.wait())
    except BaseException:
        # This process is being ended; the command gets the same moment to save its work.
        process.terminate()
        process.wait()
        raise


def shell_code(code: int) -> int:
    return 128 - code if code < 0 else code
