"""The bench of the local cloud: many studios and as many jobs, used by 32 threads of one client of the SDK.

`python benches/emulator.py [COUNT]`; without COUNT, 200 of each. Prints one JSON object, after a check that nothing was
lost and nothing happened twice. A call is one HTTP request. The client's time includes the wait of its 32 threads for
each other; the server's time ends with the answer, and includes the wait of a request for an event.
"""

import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lightning_native.emulator import read_environ, server
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.settings import Settings

LIVES = Path(__file__).parents[1] / "tests" / "emulator" / "test_load.py"
# Code before and after the script, which is measured without a change of its own.
BEFORE = """
import time as _time
import urllib3.connectionpool as _pool
_seconds, _request = [], _pool.HTTPConnectionPool.urlopen
def _timed(self, *arguments, **options):
    begun = _time.perf_counter()
    try:
        return _request(self, *arguments, **options)
    finally:
        _seconds.append(_time.perf_counter() - begun)
_pool.HTTPConnectionPool.urlopen = _timed
"""
AFTER = """
import json as _json
print(_json.dumps(_seconds))
"""


class Timed:
    """An application that records the durations of its requests."""

    def __init__(self, app: Any, seconds: list[float]) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = time.perf_counter()
        await self._app(scope, receive, send)
        if scope["type"] == "http":
            self._seconds.append(time.perf_counter() - begun)


def serve(root: Path) -> None:
    """Run the server of a local cloud until stdin ends, then print the durations of its requests."""
    seconds: list[float] = []
    names = vars(server)
    create_app = names["create_app"]

    def create_timed(cloud: Cloud) -> Any:
        return Timed(create_app(cloud), seconds)

    names["create_app"] = create_timed
    server.serve(root, Settings(), server.Options(stop_with_stdin=True))
    print(json.dumps(seconds))


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "calls": len(ordered),
        "median ms": round(statistics.median(ordered) * 1000, 1),
        "p95 ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
    }


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if sys.argv[1:] else 200
    with tempfile.TemporaryDirectory() as folder:
        root, shared = Path(folder) / "cloud", Path(folder) / "shared"
        shared.mkdir()
        argv = [sys.executable, __file__, "--serve", str(root)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            while (environ := read_environ(root)) is None:
                time.sleep(0.05)
            script = BEFORE + runpy.run_path(str(LIVES))["SCRIPT"] + AFTER
            begun = time.perf_counter()
            result = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", script],
                env={**os.environ, **environ, "SHARED": str(shared), "COUNT": str(count)},
                check=False,
                capture_output=True,
                text=True,
            )
            took = time.perf_counter() - begun
            output, _ = process.communicate("")
        if result.returncode != 0:
            sys.exit(result.stderr)
        written = {path.name: path.read_text() for path in shared.iterdir()}
    expected = {f"{kind}-{number}": f"{number}\n" for kind in ("studio", "job") for number in range(count)}
    assert written == expected, "something was lost or happened twice"
    results = {
        "studios and as many jobs": count,
        "seconds": round(took, 1),
        "as the client sees it": figures(json.loads(result.stdout.splitlines()[-1])),
        "in the server": figures(json.loads(output.splitlines()[-1])),
    }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
