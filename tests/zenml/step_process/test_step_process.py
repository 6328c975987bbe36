"""A step's own process: ZenML and the Python part of our package, and no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.workbench import Workbench

import lightning_native
from lightning_native.zenml.flavor import LightningNativeOrchestratorFlavor, LightningNativeStepOperatorFlavor

REFUSED = ("lightning_native._native", "lightning_native.engine", "lightning_native.lightning", "lightning_sdk")
# The content of a module that Python imports at every start, so every process of a step has it.
CUSTOMIZE = f"""
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if any(name == refused or name.startswith(refused + ".") for refused in {REFUSED!r}):
            raise ImportError(f"{{name}} is not on this machine")

sys.meta_path.insert(0, Refused())
"""
FLAVORS = (LightningNativeOrchestratorFlavor, LightningNativeStepOperatorFlavor)
PIPELINE = """
import os
from zenml import pipeline, step
from zenml.config import DockerSettings

PLACEMENT, PACKAGING, WHERE = (os.environ.get(name, "") for name in ("PLACEMENT", "PACKAGING", "WHERE"))
EXPLORE = {"type": "script", "spec": {"scriptPathURI": "explore.sh"}}
image = {"parent_image": "registry.example/base:1", "skip_build": True} if PACKAGING == "image" else {}

@step(enable_cache=False, settings={"orchestrator": {"runtime": EXPLORE}})
def explore() -> str:
    import sys
    import lightning_native
    from lightning_native.jobs import run_runtime
    refused = [name for name in REFUSED if name in sys.modules]
    return f"{open('explored').read().strip()} {lightning_native.__file__} {refused}"

@step(enable_cache=False)
def lacking() -> str:
    try:
        from lightning_native import select_files
    except ImportError as error:
        return str(error)

@pipeline(settings={
    "orchestrator": {"placement": PLACEMENT, "packaging": PACKAGING, "reuse_environments": False},
    "docker": DockerSettings(environment={"PYTHONPATH": WHERE}, **image),
})
def alone() -> None:
    explore()
    lacking()

if __name__ == "__main__":
    run = alone()
    for name in ("explore", "lacking"):
        print("FOUND", name, run.steps[name].output.load())
    print("PAGE", run.steps["explore"].run_metadata["orchestrator_url"])
"""


@pytest.mark.spread(5)
@pytest.mark.parametrize(
    ("placement", "packaging", "page"),
    [
        ("studio", "source", "/studios/alone-"),
        ("job", "wheel", "/jobs/alone-explore-"),
        ("platform", "source", "/pipelines/alone-"),
        ("job", "image", "/jobs/alone-explore-"),
    ],
)
def test_steps_run_by_the_python_part_alone(workbench: Workbench, placement: str, packaging: str, page: str) -> None:
    workbench.write("refused/sitecustomize.py", CUSTOMIZE)
    workbench.write("explore.sh", "echo found >explored\n")
    variables = {"PLACEMENT": placement, "PACKAGING": packaging, "WHERE": str(workbench.folder / "refused")}
    code, output = workbench.run(f"REFUSED = {REFUSED!r}\n{PIPELINE}", **variables)
    assert code == 0, output
    said = dict(line.split(" ", 2)[1:] for line in output.splitlines() if line.startswith("FOUND "))
    explored, file, refused = said["explore"].split(" ", 2)
    assert (explored, refused) == ("found", "[]")
    assert Path(lightning_native.__file__).parent != Path(file).parent
    assert (packaging == "image") == (".lightning-native" not in file)
    assert "_native is not on this machine" in said["lacking"]
    assert page in output.split("PAGE ")[1]
    workbench.assert_nothing_left()


def test_a_stack_is_loaded_by_the_python_part_alone(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CUSTOMIZE)
    sources = [f"{flavor.__module__}.{flavor.__qualname__}" for flavor in FLAVORS]
    code = (
        "import sys, lightning_native.zenml.step_process.entrypoints\n"
        "from zenml.utils.source_utils import load\n"
        "for source in sys.argv[1:]:\n"
        "    flavor = load(source)()\n"
        "    print(flavor.implementation_class.__name__, flavor.config_class(machine_type='NO_SUCH').machine_type)\n"
    )
    # ZenML searches for the user's code beside the main module.
    (tmp_path / "load.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "load.py"), *sources],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "ZENML_CONFIG_PATH": str(tmp_path / "config")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "LightningNativeOrchestrator NO_SUCH",
        "LightningNativeStepOperator NO_SUCH",
    ]
