"""Programs in processes that are forked from one with their imports, because ZenML's imports take seconds.

`python zygote.py MODULE ...` imports the modules, and then runs the requested programs one after the other.
"""

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory


class Zygote:
    """The process with the imports.

    Args:
        modules: the modules that it imports.
        environment: the variables with which it imports them.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, *modules],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # The process ends with its input; without this, Python would warn about an unfinished one.
        atexit.register(self._process.communicate)

    def run(
        self, argv: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        """Run a script in a process of its own, and return its exit code (negative for a signal) and its output.

        Args:
            argv: the path of the script, and its arguments.
            environment: all of its variables.
            timeout: seconds after which it is killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with TemporaryDirectory() as folder:
            printed = [Path(folder) / name for name in ("output", "errors")]
            request = {"argv": argv, "environment": dict(environment), "printed": list(map(str, printed))}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            child = int(self._process.stdout.readline())
            alarm = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
            alarm.start()
            try:
                code = int(self._process.stdout.readline())
            finally:
                alarm.cancel()
            return subprocess.CompletedProcess(argv, code, *(path.read_text() for path in printed))


def _serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(**request)
            return
        print(child, flush=True)  # noqa: T201  the answer
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201  the answer


def _become(argv: list[str], environment: dict[str, str], printed: list[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for target, path in enumerate([os.devnull, *printed]):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, target)
        os.close(file)
    sys.argv = argv
    sys.path[0] = str(Path(argv[0]).parent)
    runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    for module in sys.argv[1:]:
        __import__(module)
    _serve()
