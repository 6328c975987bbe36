"""Jobs in a step's own process, which has neither the engine, nor the SDK, nor the native module."""

import subprocess
import sys

_REFUSED = ("lightning_native._native", "lightning_native.engine", "lightning_native.lightning", "lightning_sdk")
_SCRIPT = f"""
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({_REFUSED!r}):
            raise ImportError(f"{{name}} is not here")

sys.meta_path.insert(0, Refused())
from lightning_native.jobs import PythonRuntime, load_job, run_runtime

runtime = load_job("job.yaml").runtime
assert isinstance(runtime, PythonRuntime)
run_runtime(runtime)
"""
_JOB = """
kind: job
spec:
  runtime:
    kind: runtime
    type: python
    spec:
      scriptPathURI: train.py
      args: [1, 2]
      env:
        - {name: GREETING, value: hello}
"""


def test_a_step_loads_and_runs_a_runtime_by_the_python_part_alone(tmp_path):
    (tmp_path / "job.yaml").write_text(_JOB)
    (tmp_path / "train.py").write_text("import os, sys; print(os.environ['GREETING'], sys.argv[1:])")
    done = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hello ['1', '2']" in done.stdout
