"""A run of a pipeline with the installed ZenML, by its own contract and by the oldest one (make test-oldest)."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PIPELINE = '''
from zenml import pipeline, step
from zenml.client import Client
from zenml.orchestrators import BaseOrchestrator
from zenml.orchestrators.utils import get_config_environment_vars

from lightning_native.zenml.stacks import register_local_stack


@step(enable_cache=False)
def one() -> int:
    return 1


@step(enable_cache=False, settings={"orchestrator": {"machine_type": "L4"}})
def two(x: int) -> int:
    return x + 1


@pipeline
def small() -> None:
    two(one())


def oldest(self, snapshot, stack, placeholder_run=None):
    """Call the orchestrator as ZenML did before it knew `submit_pipeline`."""
    environment, secrets = get_config_environment_vars(pipeline_run_id=placeholder_run.id)
    for metadata in self.prepare_or_run_pipeline(snapshot, stack, {**environment, **secrets}, placeholder_run):
        print("METADATA", metadata["orchestrator_run_id"])


if __name__ == "__main__":
    register_local_stack("local-cloud")
    for run in (BaseOrchestrator.run, oldest):
        BaseOrchestrator.run = run
        done = Client().get_pipeline_run(small().id)
        print("RESULT", done.status.value, done.steps["two"].output.load())
'''


def main() -> int:
    """Return 0 if both runs completed."""
    with tempfile.TemporaryDirectory(prefix="lightning-native-oldest-") as name:
        folder = Path(name)
        (folder / "code").mkdir()
        (folder / "code" / "pipeline.py").write_text(PIPELINE)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LIGHTNING_", "ZENML_"))}
        environment = {
            **inherited,
            "LIGHTNING_NATIVE_HOME": str(folder / "home"),
            "ZENML_CONFIG_PATH": str(folder / "config"),
            "ZENML_ANALYTICS_OPT_IN": "false",
        }
        result = subprocess.run(
            [sys.executable, "pipeline.py"],
            cwd=folder / "code",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.stdout.count("RESULT completed 2") == 2 and "METADATA" in result.stdout:
        return 0
    sys.stderr.write(result.stdout + result.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
