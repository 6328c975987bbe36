"""The time of trivial ZenML steps on the local cloud, beside ZenML's local orchestrator in the same run.

`python benches/steps.py [ROUNDS]` prints the medians of a chain of ten steps and of a fan-out of eight that sleep five
seconds, warm, fresh and as jobs, each as the seconds of a whole `pipeline()` and as a ratio to the local orchestrator.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PIPELINES = """
import json, os, sys, time
from zenml import pipeline, step

SETTINGS = {"orchestrator": json.loads(os.environ["SETTINGS"])} if "SETTINGS" in os.environ else {}

@step(enable_cache=False)
def add(x: int = 0) -> int:
    return x + 1

@step(enable_cache=False)
def sleep(number: int) -> int:
    time.sleep(5)
    return number

@pipeline(settings=SETTINGS)
def chain() -> None:
    x = add()
    for _ in range(9):
        x = add(x)

@pipeline(settings=SETTINGS)
def fan() -> None:
    for number in range(8):
        sleep(number)

if __name__ == "__main__":
    begun = time.monotonic()
    globals()[sys.argv[1]]()
    print("TOOK", time.monotonic() - begun)
"""
# The stack and the settings of each way to run them.
WAYS = {
    "ZenML's local orchestrator": ("default", None),
    "studio, warm steps": ("local-cloud", '{"warm_steps": "auto"}'),
    "studio, fresh steps": ("local-cloud", '{"warm_steps": "off"}'),
    "jobs": ("local-cloud", '{"placement": "job"}'),
}


def main(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))},
            "HOME": str(folder),
            "ZENML_CONFIG_PATH": str(folder / "zenml"),
            "LIGHTNING_NATIVE_HOME": str(folder / "home"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            "ZENML_ENABLE_RICH_TRACEBACK": "false",
        }
        (folder / "steps.py").write_text(PIPELINES)

        def run(*command: str, **variables: str) -> str:
            argv = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
            result = subprocess.run(
                argv, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, check=False
            )
            if result.returncode:
                sys.exit(result.stdout + result.stderr)
            return result.stdout

        run("lightning-native", "init", "--local", "--yes")
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for way, (stack, settings) in WAYS.items():
                run("zenml", "stack", "set", stack)
                for pipeline in ("chain", "fan"):
                    output = run("python", "steps.py", pipeline, **({"SETTINGS": settings} if settings else {}))
                    times.setdefault((way, pipeline), []).append(float(output.rsplit("TOOK", 1)[1]))
        medians = {key: statistics.median(values) for key, values in times.items()}
        local = next(iter(WAYS))
        print("| | chain of 10 | x | fan-out of 8 x 5 s | x |")
        print("|---|---|---|---|---|")
        for way in WAYS:
            cells = [
                f"{medians[way, pipeline]:.1f} s | {medians[way, pipeline] / medians[local, pipeline]:.1f}"
                for pipeline in ("chain", "fan")
            ]
            print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
