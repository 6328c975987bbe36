"""Packagings: code reaches steps in images, and as a wheel."""

import json
import subprocess
from pathlib import Path

import pytest
import zenml
from tests.support.search import files_with
from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

pytestmark = pytest.mark.spread(5)

SECRET = "correct-horse-battery-staple"  # noqa: S105  of this test only

IMAGES = r"""
import os, sys, time
from pathlib import Path
from zenml import pipeline, step
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig

FOLDER = Path(os.environ.get("FOLDER", "."))
base = DockerSettings(
    parent_image="registry.example/base:1", skip_build=True, runtime_environment={"FOLDER": str(FOLDER)}
)
own = base.model_copy(update={"parent_image": "registry.example/train:7"})

@step(enable_cache=False, settings={"orchestrator": {"machine_type": "L4"}, "docker": own}, secrets=["vault"])
def train() -> str:
    import helper
    print("STEP IS UP\nand waits", flush=True)
    while not (FOLDER / "go").exists():
        time.sleep(0.05)
    assert "LIGHTNING_API_KEY" not in os.environ
    return "|".join([helper.ANSWER, os.environ["PASSWORD"][:7], Path("data with blank.txt").read_text()])

@step(enable_cache=False, settings={"orchestrator": {"interruptible": True}}, retry=StepRetryConfig(max_retries=1))
def flaky() -> int:
    with (FOLDER / "tries").open("a") as stream:
        stream.write("x")
    tries = len((FOLDER / "tries").read_text())
    if tries <= 2:
        try:
            (FOLDER / f"waits{tries}").touch()
            time.sleep(600)
        finally:
            (FOLDER / f"saved{tries}").touch()
    if tries == 3:
        raise ValueError("a try that counts")
    return tries

@step(enable_cache=False)
def broken(x: str) -> None:
    sys.exit(3)

@step(enable_cache=False)
def after() -> None:
    pass

@pipeline(settings={"docker": base, "orchestrator": {
    "packaging": "image", "image_credentials": "registry-login", "cloud_account_auth": True, "tags": ["a"],
}})
def in_images() -> None:
    flaky()
    broken(train())
    after(after=["broken"])

if __name__ == "__main__":
    from zenml.client import Client
    Client().create_secret("vault", values={"PASSWORD": os.environ["GIVEN"]})
    try:
        in_images()
    finally:
        run = Client().list_pipeline_runs(sort_by="desc:created")[0]
        print("RESULT", run.steps["train"].output.load())
        print("IMAGES", sorted(run.run_metadata["images"].items()), "code_digest" in run.run_metadata)
        flaky = Client().list_run_steps(name="flaky", pipeline_run_id=run.id)
        print("VERSIONS", sorted((each.version, each.status.value) for each in flaky.items))
        print("BUILT", Client().active_stack.orchestrator.get_image(run.snapshot, "train"))
"""


def flaky(workbench: Workbench) -> str:
    """Return the name of the running job of the step `flaky`."""
    (name,) = [
        each["name"] for each in workbench.job_records() if "-flaky-" in each["name"] and each["state"] == "running"
    ]
    return str(name)


def test_steps_run_as_jobs_in_their_images_and_their_secrets_are_in_no_record(workbench: Workbench) -> None:
    workbench.write("helper.py", "ANSWER = 'from the code'\n")
    workbench.write("data with blank.txt", "data")
    process = workbench.start(IMAGES, FOLDER=str(workbench.folder), GIVEN=SECRET)
    before = workbench.wait_for(process, "STEP IS UP")
    (record,) = [each for each in workbench.job_records() if "-train-" in each["name"]]
    spec = record["spec"]
    assert (spec["image"], spec["instanceName"]) == ("registry.example/train:7", "lit-l4-1")
    assert (spec["imageSecretRef"], spec["imageClusterCredentials"]) == ("registry-login", True)
    assert (spec["env"], spec["cloudspaceId"]) == ([], "")
    assert SECRET not in json.dumps(record)
    # The secret is not in the cloud's records or in command lines, and here only in the file for the run.
    home = Path(workbench.environment["LIGHTNING_NATIVE_HOME"])
    assert {path.name for path in files_with(SECRET, home)} <= {"environments.json"}
    arguments = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert SECRET not in arguments
    for number in (1, 2):
        workbench.wait_for_file(f"waits{number}")
        # The machine is taken away at once.
        root = str(home / "cloud")
        workbench.command("emulator", "fault", "add", "interrupt", "--name", flaky(workbench), "--root", root)
        workbench.wait_for_file(f"saved{number}")
    (workbench.folder / "go").touch()
    output, _ = process.communicate(timeout=400)
    output = before + output
    assert process.returncode != 0
    assert "RESULT from the code|correct|data" in output, output
    assert "('train', 'registry.example/train:7')" in output
    assert "('flaky', 'registry.example/base:1')" in output
    # Interrupted attempts are no retries, of which there was only one.
    assert "VERSIONS [(1, 'retried'), (2, 'completed')]" in output, output
    assert all((workbench.folder / f"saved{number}").exists() for number in (1, 2))
    assert "BUILT registry.example/train:7" in output
    assert "[broken] " in output
    assert "exit code 3" in output
    assert workbench.statuses() == {"run": "failed", "train": "completed", "flaky": "completed", "broken": "failed"}
    with Journal(workbench.journal) as journal:
        steps = {step.name: step for step in journal.steps(journal.runs(1)[0].run_id)}
    assert (steps["flaky"].attempt, steps["train"].machine, steps["flaky"].machine) == (4, "L4", "CPU")
    assert files_with(SECRET, home) == []
    assert workbench.job_records() == []
    assert not list(Path("/tmp").glob(f"lightning-native-{record['name'][:20]}*"))  # noqa: S108  the path of their mount
    workbench.assert_nothing_left()


WHEEL = """
import importlib.metadata, os
from pathlib import Path
from zenml import pipeline, step
from zenml.client import Client

@step(enable_cache=False)
def use(name: str) -> str:
    import tools.helper
    here = Path.cwd()
    found = sorted(str(path.relative_to(here)) for path in here.rglob("*") if "__pycache__" not in str(path))
    return "|".join([
        Path(tools.helper.__file__).parents[2].name,
        tools.helper.answer(),
        Path("data/with blank.txt").read_text(),
        importlib.metadata.version(here.name),
        *found,
    ])

@pipeline(settings={"orchestrator": {"packaging": "wheel"}})
def from_a_wheel() -> None:
    use("a", id="a")
    use("b", id="b")

if __name__ == "__main__":
    run = from_a_wheel()
    for name in ("a", "b"):
        print("RESULT", name, run.steps[name].output.load())
"""


def test_steps_run_from_the_code_as_an_installed_package(workbench: Workbench) -> None:
    # Neither folder is a package, so `find_packages` would omit both.
    workbench.write("tools/helper.py", "def answer():\n    return 'from the wheel'\n")
    workbench.write("data/with blank.txt", "data")
    workbench.write(".env", "KEY=secret")
    code, output = workbench.run(WHEEL)
    assert code == 0, output
    for name in ("a", "b"):
        result = output.split(f"RESULT {name} ")[1].splitlines()[0].split("|")
        assert result[:4] == ["site-packages", "from the wheel", "data", zenml.__version__]
        assert set(result[4:]) == {
            "__init__.py",
            "data",
            "data/with blank.txt",
            "pipeline.py",
            "tools",
            "tools/helper.py",
        }
    assert workbench.statuses() == {"run": "completed", "a": "completed", "b": "completed"}
    workbench.assert_nothing_left()
