"""A controller of a run that kills itself at a named moment of the run.

`python driver.py RUN_FOLDER [MOMENT]`, where MOMENT is "before CALL N" or "after CALL N", N counting that call's
occurrences from 1, for the calls of the cloud and of the journal.
"""

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from lightning_native.engine.execution.run_plan import run_plan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.lightning.session import cloud_name, connect


class Killer:
    """A counter of calls that kills its process at one of them."""

    def __init__(self, moment: str) -> None:
        self._moment = moment
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def around(self, name: str, call: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._seen[name] += 1
                number = self._seen[name]
            self._die_at(f"before {name} {number}")
            result = call(*arguments, **options)
            self._die_at(f"after {name} {number}")
            if isinstance(result, list):
                return [self._seen_through(item) for item in result]
            return self._seen_through(result)

        return counted

    def _seen_through(self, result: Any) -> Any:
        return Proxy(result, self) if hasattr(result, "release") else result

    def _die_at(self, moment: str) -> None:
        if moment == self._moment:
            os.kill(os.getpid(), signal.SIGKILL)


class Proxy:
    """A cloud, a studio or a job whose calls go through the killer."""

    def __init__(self, target: Any, killer: Killer) -> None:
        self._target = target
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._killer.around(name, value) if callable(value) else value


def main() -> int:
    folder, moment = RunFolder(Path(sys.argv[1])), sys.argv[2] if len(sys.argv) > 2 else ""
    with folder.driven(), Journal() as journal:
        result = run_plan(folder, cloud=Proxy(connect(), Killer(moment)), cloud_name=cloud_name(), journal=journal)
    return 0 if result.state == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
