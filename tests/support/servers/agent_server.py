"""A process that calls an agent again and again: `python agent_server.py AGENT`, a JSON list of arguments a line.

It answers each call with a line of JSON: the exit code, the problem and the output. A job ends its process, so it
needs one of its own.
"""

import contextlib
import importlib.util
import io
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def call(agent: Any, arguments: list[str]) -> dict[str, object]:
    output = io.StringIO()
    problem = ""
    sys.argv = ["agent.py", *arguments]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        try:
            agent.main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
            problem = "" if isinstance(exit_.code, int) else str(exit_.code)
        except BaseException:
            code, problem = -1, traceback.format_exc()
    return {"code": code, "problem": problem, "output": output.getvalue()}


def main() -> None:
    specification = importlib.util.spec_from_file_location("agent", sys.argv[1])
    assert specification is not None
    assert specification.loader is not None
    agent = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(agent)
    # Short waits, because an upload or claim that is missing here never arrives.
    agent.UPLOAD_PATIENCE = agent.CLAIM_PATIENCE = 0.05  # type: ignore[attr-defined]
    os.chdir(Path(sys.argv[1]).parent)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(call(agent, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
